#![no_main]
libfuzzer_sys::fuzz_target!(|story: gatepost_fuzz::story::Story| gatepost_fuzz::tell(&story));
