//! This computer's name.

/// What people call it.
#[must_use]
pub fn name() -> String {
    let name = std::env::var("COMPUTERNAME").unwrap_or_default();
    let name: String = name.chars().filter(|c| !c.is_control()).take(40).collect();
    if name.is_empty() { "this computer".to_owned() } else { name }
}
