//! What octets of peers reach: every function that takes them, or takes what was made of them.

/// Names of functions, and how to get their addresses. Each is kept whole in the object file, under its name.
macro_rules! entries {
    ($($room:ident: $($function:path),+;)+) => {
        /// All of them.
        pub const ALL: &[(&str, fn() -> *const ())] =
            &[$($((stringify!($function), || $function as *const ())),+),+];
    };
}

entries! {
    framing:
        crate::frame::line::LineCutter::cut,
        crate::frame::line::LineCutter::is_at_line_start,
        crate::frame::dot::DotCutter::cut,
        crate::frame::chunk::ChunkCutter::cut,
        crate::frame::chunk::LineEnds::feed,
        crate::mail::scan::HeaderScan::feed;
    grammar:
        crate::smtp::command::parse;
    session:
        crate::smtp::session::Session::new,
        crate::smtp::session::Session::step,
        crate::smtp::session::Session::end,
        crate::types::reply::Reply::encode;
    sasl:
        crate::auth::sasl::Mechanism::parse,
        crate::auth::sasl::Exchange::start,
        crate::auth::sasl::Exchange::respond;
    scram:
        crate::auth::scram::message::ClientFirst::parse,
        crate::auth::scram::message::ClientFinal::parse,
        crate::auth::scram::message::server_first,
        crate::auth::scram::message::server_final,
        crate::auth::scram::keys::mac,
        crate::auth::scram::keys::hash,
        crate::auth::scram::keys::derive,
        crate::auth::scram::keys::derive_salted,
        crate::auth::scram::keys::is_proved,
        crate::auth::scram::keys::sign,
        crate::auth::scram::keys::prove,
        crate::auth::scram::prepare::prepare,
        crate::auth::scram::prepare::prepare_octets,
        crate::auth::scram::Scram::new,
        crate::auth::scram::Scram::take,
        crate::auth::scram::Scram::salted,
        crate::auth::scram::Scram::proved;
    lookup:
        crate::auth::lookup::look_up,
        crate::auth::verifier::canonical,
        crate::policy::admission::Admission::enter,
        crate::policy::admission::Admission::leave,
        crate::policy::recipient::look_up,
        crate::policy::recipient::look_up_address,
        crate::policy::sender::look_up,
        crate::directory::Directory::resolve,
        crate::directory::Directory::apply,
        crate::directory::history::LoginHistory::learn,
        crate::auth::credential::generate,
        crate::auth::credential::digest,
        crate::auth::credential::find,
        crate::auth::password::normalise,
        crate::auth::report::names::kept,
        crate::auth::phc::PasswordHash::parse;
    verdict:
        crate::auth::verdict::LoginVerdict::reply,
        crate::auth::verifier::Verifier::submit,
        crate::auth::verifier::Verifier::submit_through,
        crate::auth::verifier::Verifier::settle,
        crate::auth::verifier::Verifier::worker_up,
        crate::auth::verifier::Verifier::worker_lost,
        crate::auth::verifier::Verifier::worker_is_late,
        crate::auth::verifier::Verifier::next_job,
        crate::auth::verifier::Verifier::hashed,
        crate::auth::verifier::Verifier::due,
        crate::auth::verifier::Verifier::next_deadline,
        crate::auth::verifier::Verifier::forget,
        crate::auth::report::ledger::Ledger::login,
        crate::auth::report::ledger::Ledger::turned_away;
    throttle:
        crate::auth::throttle::Throttle::new,
        crate::auth::throttle::Throttle::at_connect,
        crate::auth::throttle::Throttle::at_login,
        crate::auth::throttle::Throttle::login_decided,
        crate::auth::throttle::Throttle::login_proven,
        crate::auth::throttle::Throttle::load_place,
        crate::auth::throttle::Throttle::forget_login,
        crate::auth::throttle::Throttle::mail_offence,
        crate::auth::throttle::Throttle::mail_accepted,
        crate::auth::throttle::Throttle::pace,
        crate::auth::throttle::Throttle::forgive,
        crate::auth::throttle::Throttle::forgive_login,
        crate::auth::throttle::Throttle::explain,
        crate::auth::throttle::Throttle::restore;
}
