//! Making and opening the database, with a wall around it.
#![expect(clippy::disallowed_methods, reason = "a new store needs secrets from the operating system")]

use crate::limits;
use crate::store::StoreError;
use crate::store::keys::{self, Meta, SyncMark, Tag};
use crate::store::place;
use ::fjall::{
    CompressionType, Database, Error, Keyspace, KeyspaceCreateOptions, KvSeparationOptions, LsmError,
    PersistMode, Slice,
};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;

/// Everything but bodies.
pub(super) const RECORDS: &str = "records";
/// Slices of bodies.
pub(super) const BODIES: &str = "bodies";

/// Runs the database with a wall around it: its panics are errors here.
pub(super) fn guarded<T>(doing: &str, work: impl FnOnce() -> Result<T, Error>) -> Result<T, StoreError> {
    match catch_unwind(AssertUnwindSafe(work)) {
        Ok(Ok(value)) => Ok(value),
        Ok(Err(error)) => Err(from_database(doing, error)),
        Err(_) => Err(StoreError::Damaged(format!("{doing}: the database panicked"))),
    }
}

/// An error of the database in our words.
#[expect(clippy::wildcard_enum_match_arm, reason = "the database may add errors; each means damage here")]
pub(super) fn from_database(doing: &str, error: Error) -> StoreError {
    match error {
        Error::Locked => StoreError::Locked,
        Error::Poisoned => StoreError::Poisoned(format!("{doing}: an earlier write failed")),
        Error::Io(error) | Error::Storage(LsmError::Io(error)) if place::is_full(&error) => {
            StoreError::DiskFull
        }
        Error::Io(error) | Error::Storage(LsmError::Io(error)) => StoreError::Io(format!("{doing}: {error}")),
        Error::InvalidVersion(_) => StoreError::Layout(format!("{doing}: {error}")),
        other => StoreError::Damaged(format!("{doing}: {other}")),
    }
}

pub(super) fn open_database(path: &Path) -> Result<Database, StoreError> {
    guarded(&format!("opening {}", path.display()), || {
        Database::builder(path)
            .cache_size(limits::STORE_CACHE_OCTETS)
            .worker_threads(limits::STORE_WORKERS)
            .max_journaling_size(limits::STORE_JOURNAL_OCTETS)
            .max_cached_files(Some(limits::STORE_CACHED_FILES))
            .journal_compression(CompressionType::None)
            .open()
    })
}

pub(super) fn records_options() -> KeyspaceCreateOptions {
    KeyspaceCreateOptions::default().max_memtable_size(limits::STORE_MEMTABLE_OCTETS)
}

pub(super) fn bodies_options() -> KeyspaceCreateOptions {
    let separation = KvSeparationOptions::default().compression(CompressionType::Lz4);
    records_options().with_kv_separation(Some(separation))
}

/// Makes a complete store beside its place, then puts it there.
pub(super) fn create(dir: &Path) -> Result<(), StoreError> {
    let staging = place::make_staging(dir)?;
    let (mut server_key, mut mark) = ([0; 32], SyncMark([0; keys::MARK_OCTETS]));
    for secret in [server_key.as_mut_slice(), mark.0.as_mut_slice()] {
        aws_lc_rs::rand::fill(secret)
            .map_err(|_| StoreError::Io("the operating system gave no random octets".to_owned()))?;
    }
    let db = open_database(&staging)?;
    guarded("making a store", || {
        let records = db.keyspace(RECORDS, records_options)?;
        db.keyspace(BODIES, bodies_options)?;
        let mut batch = db.batch().durability(Some(PersistMode::SyncAll));
        batch.insert(&records, keys::meta_key(Meta::SyncMark), keys::encode_sync_mark(mark));
        batch.insert(&records, keys::meta_key(Meta::Layout), keys::encode_u32(keys::LAYOUT));
        batch.insert(&records, keys::meta_key(Meta::ServerKey), keys::encode_server_key(&server_key));
        batch.insert(
            &records,
            keys::meta_key(Meta::NextAccount),
            keys::encode_u32(crate::directory::FIRST_ACCOUNT),
        );
        batch.commit()
    })?;
    drop(db);
    place::settle(dir, mark)
}

/// A keyspace that must be there already.
pub(super) fn keyspace(db: &Database, name: &str) -> Result<Keyspace, StoreError> {
    guarded("opening the store", || {
        // The options are only used for a new keyspace, which this never is.
        Ok(if db.keyspace_exists(name) { Some(db.keyspace(name, records_options)?) } else { None })
    })?
    .ok_or_else(|| StoreError::Damaged(format!("the part `{name}` is missing")))
}

/// The value of a fact about the store.
pub(super) fn meta(records: &Keyspace, name: Meta) -> Result<Slice, StoreError> {
    guarded("reading the store's own records", || records.get(keys::meta_key(name)))?
        .ok_or_else(|| StoreError::Damaged(format!("its own record {name:?} is missing")))
}

/// Reads every key under a tag.
pub(super) fn tagged_keys<T>(
    records: &Keyspace,
    tag: Tag,
    decode: impl Fn(&[u8]) -> Result<T, StoreError>,
) -> Result<Vec<T>, StoreError> {
    let mut out = Vec::new();
    guarded("reading records", || {
        for guard in records.prefix([tag.octet()]) {
            out.push(guard.key()?);
        }
        Ok(())
    })?;
    out.iter().map(|key| decode(key)).collect()
}
