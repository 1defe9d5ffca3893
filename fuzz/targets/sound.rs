#![no_main]

libfuzzer_sys::fuzz_target!(|data: &[u8]| pushbell_fuzz::sound(data));
