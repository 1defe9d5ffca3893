# Puts the built program into target/package/pushbell-VERSION-windows-x86_64.zip.
$ErrorActionPreference = 'Stop'
Set-Location (Join-Path $PSScriptRoot '../..')
$version = (Select-String -Path Cargo.toml -Pattern '^version = "(.*)"$' | Select-Object -First 1).Matches.Groups[1].Value
$directory = "target/package/pushbell-$version-windows-x86_64"
if (Test-Path $directory) { Remove-Item -Recurse $directory }
New-Item -ItemType Directory -Force $directory | Out-Null
Copy-Item target/release/pushbell.exe, README.md, CHANGELOG.md, LICENSE-MIT, LICENSE-APACHE $directory
Compress-Archive -Force -Path $directory -DestinationPath "$directory.zip"
