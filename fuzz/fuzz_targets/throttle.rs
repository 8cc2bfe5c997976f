#![no_main]
libfuzzer_sys::fuzz_target!(|story: gatepost_fuzz::throttle::Story| gatepost_fuzz::compare(&story));
