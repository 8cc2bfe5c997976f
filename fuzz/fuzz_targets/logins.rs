#![no_main]
libfuzzer_sys::fuzz_target!(|story: gatepost_fuzz::logins::Story| gatepost_fuzz::log_in(&story));
