//! Memory that is not needed goes back to the system.

use std::time::Duration;

use tokio::{sync::mpsc, time::timeout};

/// So long after something happened, nothing may be expected to follow it.
const QUIET: Duration = Duration::from_secs(10);

/// Gives memory back when nothing has happened for a while. It waits for nothing else: idle, it has no timer.
#[derive(Debug)]
pub struct Rest {
    stirred: mpsc::Sender<()>,
}

impl Rest {
    /// Starts the task; it ends when this is dropped. To be called on the runtime.
    #[must_use]
    pub fn start() -> Self {
        let (stirred, mut stirs) = mpsc::channel(1);
        tokio::spawn(async move {
            while stirs.recv().await.is_some() {
                while let Ok(Some(())) = timeout(QUIET, stirs.recv()).await {}
                give_back();
            }
        });
        Self { stirred }
    }

    /// Something happens.
    pub fn stir(&self) {
        // If that is known already, it is enough.
        self.stirred.try_send(()).ok();
    }
}

/// Gives back what the C library holds free, and the program's own code: what of that is needed again is in the
/// system's cache, which can use it for others until then. Starting and popups touch most of the code, waiting little.
#[cfg(all(target_os = "linux", target_env = "gnu"))]
fn give_back() {
    use std::ffi::{c_int, c_void};

    const PAGE: usize = 64 * 1024;
    /// asm-generic/mman-common.h: the next use reads from the file again.
    const MADV_DONTNEED: c_int = 4;

    #[expect(unsafe_code, reason = "functions of the C library, and names of the linker, are declared unsafely")]
    unsafe extern "C" {
        safe fn malloc_trim(pad: usize) -> c_int;
        fn madvise(address: *mut c_void, length: usize, advice: c_int) -> c_int;
        /// Where the program's file begins in memory, and where its code ends. Nothing between them is ever written.
        static __executable_start: u8;
        static etext: u8;
    }

    malloc_trim(0);
    // Whole pages, however large they are on this processor.
    let begin = (&raw const __executable_start).addr().next_multiple_of(PAGE);
    let length = (&raw const etext).addr().saturating_sub(begin) / PAGE * PAGE;
    #[expect(unsafe_code, reason = "the range is mapped from the file, and read-only, as long as the program runs")]
    let is_done = unsafe { madvise(std::ptr::with_exposed_provenance_mut(begin), length, MADV_DONTNEED) } == 0;
    tracing::debug!(is_done, "memory given back");
}

#[cfg(not(all(target_os = "linux", target_env = "gnu")))]
fn give_back() {}

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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_given_back_is_there_again_when_it_is_needed() {
        for round in 0..3 {
            give_back();
            assert_eq!(format!("{round}").parse(), Ok(round));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn it_rests_once_after_whatever_happens_and_ends_with_its_owner() {
        let rest = Rest::start();
        for _ in 0..3 {
            rest.stir();
            tokio::time::sleep(QUIET / 2).await;
        }
        tokio::time::sleep(2 * QUIET).await;
        let stirred = rest.stirred.clone().downgrade();
        drop(rest);
        assert!(stirred.upgrade().is_none());
    }
}
