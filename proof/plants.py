"""Panics that are planted into a copy of the sources, each of another kind. Every one must be found."""

import collections

# `file` in `src/`; `old` stands in it once; `entry` must be reported with a place that begins with `place`.
Plant = collections.namedtuple("Plant", "kind file old new entry place")


def _plant(kind, file, old, new, entry, place=None):
    return Plant(kind, file, old, new, entry, place or f"src/{file}:")


PLANTS = [
    _plant(
        "split_at, which no lint of rustc sees",
        "frame/line.rs",
        "let part = input.get(..taken).unwrap_or_default();",
        "let part = input.split_at(taken).0;",
        "frame::line::LineCutter::cut",
    ),
    _plant(
        "Vec::drain",
        "frame/dot.rs",
        "            out.extend_from_slice(octets);",
        "            out.drain(..octets.len());",
        "frame::dot::DotCutter::cut",
        "library/core/src/slice/index.rs:",
    ),
    _plant(
        "a range of a slice in a function that is inlined",
        "frame/chunk.rs",
        "Ok(left) => input.get(..left).unwrap_or(input),",
        "Ok(left) => &input[..left],",
        "frame::chunk::ChunkCutter::cut",
    ),
    _plant(
        "a text cut at any octet",
        "smtp/grammar.rs",
        "tail.split_at_checked(path_end(tail)).ok_or(whose.syntax())?",
        "tail.split_at(path_end(tail) / 2)",
        "smtp::command::parse",
        "library/core/src/str/mod.rs:",
    ),
    _plant(
        "unwrap of a Result",
        "auth/sasl.rs",
        "std::str::from_utf8(text).ok()",
        "Some(std::str::from_utf8(text).unwrap())",
        "auth::sasl::Exchange::respond",
    ),
    _plant(
        "expect of an Option",
        "auth/scram/message.rs",
        "let (flag, rest) = text.split_once(',')?;",
        'let (flag, rest) = text.split_once(\',\').expect("planted");',
        "auth::scram::message::ClientFirst::parse",
    ),
    _plant(
        "assert",
        "auth/scram/message.rs",
        "let (without_proof, proof) = text.rsplit_once(',')?;",
        "let (without_proof, proof) = text.rsplit_once(',')?;\n        assert!(proof.len() > 3);",
        "auth::scram::message::ClientFinal::parse",
    ),
    _plant(
        "an index",
        "auth/lookup.rs",
        "if login.len() > LOGIN_OCTETS_MAX {",
        "if login[0] == 0 || login.len() > LOGIN_OCTETS_MAX {",
        "auth::lookup::look_up",
    ),
    _plant(
        "an index of a map",
        "directory/mod.rs",
        "self.targets.get(&address.key()).copied()",
        "Some(self.targets[&address.key()])",
        "auth::lookup::look_up",
    ),
    _plant(
        "a division",
        "auth/verdict.rs",
        "Self::Disabled(_) => Reply::new(525,",
        "Self::Disabled(who) => Reply::new(525 / u16::try_from(who.0).unwrap_or(1),",
        "auth::verdict::LoginVerdict::reply",
    ),
    _plant(
        "a sum that overflows",
        "auth/throttle/level.rs",
        "self.pending = self.pending.saturating_add(charge);",
        "self.pending += charge;",
        "auth::throttle::Throttle::at_login",
    ),
    _plant(
        "an index of a queue",
        "auth/queue.rs",
        "let prefix = self.turns.pop_front()?;",
        "let prefix = self.turns[7];",
        "auth::verifier::Verifier::next_job",
    ),
    _plant(
        "String::insert, next to a format! that is allowed",
        "auth/scram/salts.rs",
        'self.of(format!("{address}").as_bytes())',
        'let mut text = format!("{address}");\n        text.insert(7, \'x\');\n        self.of(text.as_bytes())',
        "auth::scram::salts::Salts::of_address",
        "src/auth/scram/salts.rs:",
    ),
    _plant(
        "unreachable",
        "auth/verifier.rs",
        "self.in_flight.take_if(|flying| flying.id == job) else { return };",
        "self.in_flight.take_if(|flying| flying.id == job) else { unreachable!() };",
        "auth::verifier::Verifier::hashed",
    ),
]
