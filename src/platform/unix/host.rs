//! This computer's name.

/// What people call it: the host's name without its domain.
#[must_use]
pub fn name() -> String {
    let system = rustix::system::uname();
    let name = system.nodename().to_string_lossy();
    let name: String =
        name.split('.').next().unwrap_or_default().chars().filter(|c| !c.is_control()).take(40).collect();
    if name.is_empty() { "this computer".to_owned() } else { name }
}
