//! Memory that is free goes back to the system.

/// Has the C library keep few pools of free memory, small ones. By itself it makes one for each thread, keeps them when
/// the threads of sounds and trays have ended, and takes a large piece that was freed once as a reason to keep as much
/// from then on. To be called before other threads start.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
pub fn keep_little() {
    use std::ffi::c_int;

    // malloc.h; mallopt(3) says what they mean.
    const M_TRIM_THRESHOLD: c_int = -1;
    const M_MMAP_THRESHOLD: c_int = -3;
    const M_ARENA_MAX: c_int = -8;
    const KIB: c_int = 1024;

    #[expect(unsafe_code, reason = "functions of the C library are declared unsafely")]
    unsafe extern "C" {
        safe fn mallopt(parameter: c_int, value: c_int) -> c_int;
    }

    // Two: the runtime's thread and the inbox's do not wait for each other.
    for (parameter, value) in [(M_ARENA_MAX, 2), (M_MMAP_THRESHOLD, 128 * KIB), (M_TRIM_THRESHOLD, 128 * KIB)] {
        if mallopt(parameter, value) == 0 {
            tracing::debug!(parameter, value, "the C library does not know this limit");
        }
    }
}

/// Other C libraries keep little by themselves.
#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
pub fn keep_little() {}
