//! The entry in the Start menu. Windows takes toasts from a program that is in there under the identifier
//! (AppUserModelID) with which they come.

use std::{
    ffi::OsString,
    fs, io,
    os::windows::ffi::OsStringExt,
    path::{Path, PathBuf},
};

use windows::{
    Win32::{
        Storage::EnhancedStorage::PKEY_AppUserModel_ID,
        System::Com::{
            CLSCTX_INPROC_SERVER, COINIT_MULTITHREADED, CoCreateInstance, CoInitializeEx, CoTaskMemFree, IPersistFile,
            STGM_READ, StructuredStorage::PROPVARIANT,
        },
        UI::Shell::{
            FOLDERID_Programs, IShellLinkW, KF_FLAG_CREATE, PropertiesSystem::IPropertyStore, SHGetKnownFolderPath,
            SetCurrentProcessExplicitAppUserModelID, ShellLink,
        },
    },
    core::{HSTRING, Interface, PWSTR},
};

use crate::identity;

/// Longest path that a shortcut leads to, in UTF-16 units.
const LONGEST_PATH: usize = 1024;

/// Makes the entry for this program, or leads the one that is there to it; says under which identifier we act.
///
/// Call it on a thread that uses COM for nothing else, or in the same way.
///
/// # Errors
/// When it cannot be made.
pub(super) fn ensure() -> io::Result<PathBuf> {
    let program = std::env::current_exe()?;
    #[expect(unsafe_code, reason = "calls of the system")]
    // SAFETY: no pointer is passed but that of a text; COM stays initialized for as long as the thread lives.
    unsafe {
        let _ = CoInitializeEx(None, COINIT_MULTITHREADED);
        SetCurrentProcessExplicitAppUserModelID(&HSTRING::from(identity::APP_ID))?;
    }
    let path = programs()?.join(identity::APP_NAME).with_extension("lnk");
    if read(&path).is_none_or(|found| found != (program.clone(), Some(identity::APP_ID.to_owned()))) {
        write(&path, &program)
            .map_err(|error| io::Error::other(format!("{} cannot be made: {error}", path.display())))?;
        tracing::info!("the Start menu has an entry for this program now");
    }
    Ok(path)
}

/// The directory of the person's entries.
fn programs() -> io::Result<PathBuf> {
    #[expect(unsafe_code, reason = "a call of the system")]
    // SAFETY: a success returns a text that ends with a null and is ours to free.
    let path = unsafe {
        let path: PWSTR = SHGetKnownFolderPath(&FOLDERID_Programs, KF_FLAG_CREATE, None)?;
        let owned = PathBuf::from(OsString::from_wide(path.as_wide()));
        CoTaskMemFree(Some(path.as_ptr().cast_const().cast()));
        owned
    };
    fs::create_dir_all(&path)?;
    Ok(path)
}

/// The program that a shortcut leads to, and the identifier that it carries.
fn read(path: &Path) -> Option<(PathBuf, Option<String>)> {
    if !path.exists() {
        return None;
    }
    #[expect(unsafe_code, reason = "calls of COM")]
    // SAFETY: all that is passed outlives the calls.
    unsafe {
        let link: IShellLinkW = CoCreateInstance(&ShellLink, None, CLSCTX_INPROC_SERVER).ok()?;
        link.cast::<IPersistFile>().ok()?.Load(&HSTRING::from(path), STGM_READ).ok()?;
        let mut target = [0; LONGEST_PATH];
        link.GetPath(&mut target, std::ptr::null_mut(), 0).ok()?;
        let length = target.iter().position(|unit| *unit == 0)?;
        let id = link.cast::<IPropertyStore>().and_then(|properties| properties.GetValue(&PKEY_AppUserModel_ID));
        Some((PathBuf::from(OsString::from_wide(&target[..length])), id.ok().map(|id| id.to_string())))
    }
}

fn write(path: &Path, program: &Path) -> windows::core::Result<()> {
    #[expect(unsafe_code, reason = "calls of COM")]
    // SAFETY: all that is passed outlives the calls.
    unsafe {
        let link: IShellLinkW = CoCreateInstance(&ShellLink, None, CLSCTX_INPROC_SERVER)?;
        link.SetPath(&HSTRING::from(program))?;
        let properties: IPropertyStore = link.cast()?;
        properties.SetValue(&PKEY_AppUserModel_ID, &PROPVARIANT::from(identity::APP_ID))?;
        properties.Commit()?;
        link.cast::<IPersistFile>()?.Save(&HSTRING::from(path), true)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_leads_to_this_program_under_our_identifier() {
        let path = ensure().unwrap();
        let (program, id) = read(&path).unwrap();
        assert_eq!(program, std::env::current_exe().unwrap());
        // Wine forgets what a shortcut carries.
        let is_wine = std::env::var_os("WINEPREFIX").is_some();
        assert!(id.as_deref() == Some(identity::APP_ID) || is_wine, "{id:?}");
        // What leads elsewhere is led here.
        write(&path, Path::new(r"C:\windows\system32\notepad.exe")).unwrap();
        ensure().unwrap();
        assert_eq!(read(&path).unwrap().0, std::env::current_exe().unwrap());
        fs::remove_file(path).unwrap();
    }
}
