//! On Windows: gives the program's file its icon, version and manifest.

#![allow(clippy::print_stdout, reason = "this is how a build script talks to Cargo")]

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use winresource::WindowsResource;

const ICONS: &str = "assets/icons";
const MANIFEST: &str = "assets/windows/pushbell.manifest";

/// Of the icon, in pixels; each has a picture.
const SIZES: [u16; 6] = [16, 24, 32, 48, 64, 256];

fn main() -> io::Result<()> {
    println!("cargo::rerun-if-changed=assets/windows");
    for size in SIZES {
        println!("cargo::rerun-if-changed={}", picture(size).display());
    }
    let variable = |name| env::var(name).unwrap_or_default();
    if variable("CARGO_CFG_TARGET_OS") != "windows" {
        return Ok(());
    }
    if variable("CARGO_CFG_TARGET_ENV") == "msvc" && !cfg!(windows) {
        println!("cargo::warning=the program gets no icon and no version: only Windows has this target's rc.exe");
        return Ok(());
    }
    let icon = Path::new(&variable("OUT_DIR")).join("pushbell.ico");
    fs::write(&icon, icon_file()?)?;
    let icon = icon.to_str().ok_or_else(|| io::Error::other("OUT_DIR is not Unicode"))?;
    WindowsResource::new()
        .set("ProductName", "Pushbell")
        .set("FileDescription", "Pushbell")
        .set("OriginalFilename", "pushbell.exe")
        .set("LegalCopyright", "MIT OR Apache-2.0")
        .set_icon(icon)
        .set_manifest_file(MANIFEST)
        .compile_for("pushbell")
}

fn picture(size: u16) -> PathBuf {
    Path::new(ICONS).join(format!("pushbell-{size}.png"))
}

/// An ICO file of PNG pictures: a header, a line for each picture, then the pictures.
fn icon_file() -> io::Result<Vec<u8>> {
    const HEADER: usize = 6;
    const LINE: usize = 16;
    let pictures = SIZES.iter().map(|size| fs::read(picture(*size))).collect::<io::Result<Vec<_>>>()?;
    let number = |number: usize| u32::try_from(number).map_err(io::Error::other);
    let mut file = Vec::new();
    // A reserved number, the kind (an icon), how many.
    for number in [0, 1, u16::try_from(SIZES.len()).map_err(io::Error::other)?] {
        file.extend(number.to_le_bytes());
    }
    let mut offset = HEADER + LINE * SIZES.len();
    for (size, picture) in SIZES.into_iter().zip(&pictures) {
        // Width and height, where 0 stands for 256; no palette; reserved.
        let side = u8::try_from(size).unwrap_or(0);
        file.extend([side, side, 0, 0]);
        // Planes, bits of a pixel.
        file.extend([1_u16.to_le_bytes(), 32_u16.to_le_bytes()].concat());
        file.extend(number(picture.len())?.to_le_bytes());
        file.extend(number(offset)?.to_le_bytes());
        offset += picture.len();
    }
    file.extend(pictures.concat());
    Ok(file)
}
