//! The embedded store: one SQLite file, one writing connection.

use std::fmt;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::types::{ToSqlOutput, Value as SqlValue, ValueRef};
use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use crate::{Row, StoreError, Value};

/// One step of a crate's schema. Steps are applied in the order given, once, and never changed afterwards.
#[derive(Clone, Copy, Debug)]
pub struct Migration {
    pub name: &'static str,
    pub sql: &'static str,
}

/// The state database. Clones share one connection; calls block, so async code wraps them in
/// `spawn_blocking`.
#[derive(Clone)]
pub struct Store {
    connection: Arc<Mutex<Connection>>,
    reads_only: bool,
}

impl fmt::Debug for Store {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Store(sqlite)")
    }
}

impl Store {
    /// Opens or creates the file (mode 0600), in WAL mode with full synchronisation: a committed change survives power
    /// loss.
    ///
    /// # Errors
    /// The file can't be opened or is not a database.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        // Password hashes, TOTP secrets and sessions: for the owner alone. SQLite gives its side files the same
        // mode, but would make the file itself readable by all.
        OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .open(path)
            .map_err(|cause| StoreError::Create { path: path.display().to_string(), cause })?;
        let open = || -> Result<Connection, rusqlite::Error> {
            let connection = Connection::open(path)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "foreign_keys", "ON")?;
            Ok(connection)
        };
        let connection = open().map_err(|cause| StoreError::Open { path: path.display().to_string(), cause })?;
        Self::prepared(connection)
    }

    /// Opens a file that is there, to read it beside whoever holds it: nothing in it is changed, no migration either.
    ///
    /// # Errors
    /// The file can't be opened or is not a database.
    pub fn open_to_read(path: &Path) -> Result<Self, StoreError> {
        let open = || -> Result<Connection, rusqlite::Error> {
            let connection = Connection::open_with_flags(path, OpenFlags::SQLITE_OPEN_READ_ONLY)?;
            connection.busy_timeout(Duration::from_secs(5))?;
            Ok(connection)
        };
        let connection = open().map_err(|cause| StoreError::Open { path: path.display().to_string(), cause })?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), reads_only: true })
    }

    /// A database that lives only in memory.
    ///
    /// # Errors
    /// SQLite could not set it up.
    pub fn in_memory() -> Result<Self, StoreError> {
        Self::prepared(Connection::open_in_memory()?)
    }

    fn prepared(connection: Connection) -> Result<Self, StoreError> {
        connection.execute_batch(
            "CREATE TABLE IF NOT EXISTS migration (
                owner TEXT NOT NULL, position BIGINT NOT NULL, name TEXT NOT NULL, sql TEXT NOT NULL,
                PRIMARY KEY (owner, position))",
        )?;
        Ok(Self { connection: Arc::new(Mutex::new(connection)), reads_only: false })
    }

    /// Brings one crate's tables up to date, each step in a transaction of its own. One that only reads checks that they
    /// are.
    ///
    /// # Errors
    /// A step fails, was changed since it was applied, or the database knows steps that we don't; for one that only reads,
    /// a step is missing.
    pub fn migrate(&self, owner: &'static str, steps: &[Migration]) -> Result<(), StoreError> {
        let applied = self.transaction(|tx| {
            let rows =
                tx.query("SELECT name, sql FROM migration WHERE owner = $1 ORDER BY position", &[owner.into()])?;
            rows.iter()
                .map(|r| Ok((r.text(0)?.to_owned(), r.text(1)?.to_owned())))
                .collect::<Result<Vec<_>, StoreError>>()
        })?;
        for (position, (name, sql)) in applied.iter().enumerate() {
            match steps.get(position) {
                None => return Err(StoreError::Newer { owner: owner.to_owned(), name: name.clone() }),
                Some(step) if step.name != name || step.sql != sql => {
                    return Err(StoreError::MigrationChanged { owner, name: name.clone() });
                }
                Some(_) => {}
            }
        }
        for (position, step) in (0i64..).zip(steps).skip(applied.len()) {
            if self.reads_only {
                return Err(StoreError::Older { owner, name: step.name });
            }
            self.transaction(|tx| {
                tx.batch(step.sql)?;
                tx.execute(
                    "INSERT INTO migration (owner, position, name, sql) VALUES ($1, $2, $3, $4)",
                    &[owner.into(), position.into(), step.name.into(), step.sql.into()],
                )?;
                Ok::<_, StoreError>(())
            })?;
        }
        Ok(())
    }

    /// Runs `work` in a transaction: committed if it returns `Ok`, rolled back if it returns `Err` or panics.
    /// Within `work`, use what it is given: another `transaction` there would wait for itself forever.
    ///
    /// # Errors
    /// What `work` returned, or the database's own failure.
    pub fn transaction<T, E: From<StoreError>>(
        &self,
        work: impl FnOnce(&mut Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        // A panic in somebody's `work` rolled its transaction back while unwinding: the connection is as good
        // as before, and one task's panic must not stop the gateway.
        let mut connection = self.connection.lock().unwrap_or_else(PoisonError::into_inner);
        if !connection.is_autocommit() {
            return Err(StoreError::Poisoned.into());
        }
        let behavior = match self.reads_only {
            true => TransactionBehavior::Deferred,
            false => TransactionBehavior::Immediate,
        };
        let inner = connection.transaction_with_behavior(behavior).map_err(StoreError::from)?;
        let mut tx = Transaction { inner };
        let result = work(&mut tx)?;
        tx.inner.commit().map_err(StoreError::from)?;
        Ok(result)
    }
}

/// An open transaction.
#[derive(Debug)]
pub struct Transaction<'c> {
    inner: rusqlite::Transaction<'c>,
}

impl Transaction<'_> {
    /// Runs a statement; returns how many rows it changed.
    ///
    /// # Errors
    /// The database refused it.
    pub fn execute(&mut self, sql: &str, params: &[Value]) -> Result<usize, StoreError> {
        let mut statement = self.inner.prepare_cached(&numbered(sql))?;
        Ok(statement.execute(rusqlite::params_from_iter(params.iter().map(Bound)))?)
    }

    /// Runs a query; returns all of its rows.
    ///
    /// # Errors
    /// The database refused it.
    pub fn query(&mut self, sql: &str, params: &[Value]) -> Result<Vec<Row>, StoreError> {
        let mut statement = self.inner.prepare_cached(&numbered(sql))?;
        let columns = statement.column_count();
        let mut rows = statement.query(rusqlite::params_from_iter(params.iter().map(Bound)))?;
        let mut out = Vec::new();
        while let Some(row) = rows.next()? {
            out.push(Row((0..columns).map(|i| row.get_ref(i).map(read)).collect::<Result<_, _>>()?));
        }
        Ok(out)
    }

    fn batch(&mut self, sql: &str) -> Result<(), StoreError> {
        Ok(self.inner.execute_batch(sql)?)
    }
}

/// `$n` → `?n` outside of quotes and comments: SQLite takes `$n` for a name and numbers names by first
/// appearance.
fn numbered(sql: &str) -> String {
    let mut out = String::with_capacity(sql.len());
    // What ends the stretch we are in, if it is one in which `$` means nothing.
    let mut until: Option<char> = None;
    let mut chars = sql.chars().peekable();
    while let Some(c) = chars.next() {
        match (until, c) {
            (Some(end), c) if c == end => until = None,
            (Some(_), _) => {}
            (None, '\'' | '"') => until = Some(c),
            (None, '-') if chars.peek() == Some(&'-') => until = Some('\n'),
            (None, '$') => {
                out.push('?');
                continue;
            }
            (None, _) => {}
        }
        out.push(c);
    }
    out
}

fn read(value: ValueRef<'_>) -> Value {
    match value {
        ValueRef::Null => Value::Null,
        ValueRef::Integer(i) => Value::Int(i),
        // No column of the dialect is a float; a number SQLite made of one is kept as text.
        ValueRef::Real(r) => Value::Text(r.to_string()),
        ValueRef::Text(t) => Value::Text(String::from_utf8_lossy(t).into_owned()),
        ValueRef::Blob(b) => Value::Bytes(b.to_vec()),
    }
}

struct Bound<'v>(&'v Value);

impl rusqlite::ToSql for Bound<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(match self.0 {
            Value::Null => ToSqlOutput::Owned(SqlValue::Null),
            Value::Int(i) => ToSqlOutput::Owned(SqlValue::Integer(*i)),
            Value::Text(t) => ToSqlOutput::Borrowed(ValueRef::Text(t.as_bytes())),
            Value::Bytes(b) => ToSqlOutput::Borrowed(ValueRef::Blob(b)),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIRST: Migration =
        Migration { name: "first", sql: "CREATE TABLE t (id TEXT PRIMARY KEY, n BIGINT, b BYTEA)" };
    const SECOND: Migration = Migration { name: "second", sql: "ALTER TABLE t ADD COLUMN extra TEXT" };

    #[test]
    fn parameters_are_bound_by_position_and_read_back() -> Result<(), StoreError> {
        let store = Store::in_memory()?;
        store.migrate("t", &[FIRST])?;
        store.transaction(|tx| {
            tx.execute(
                "INSERT INTO t (n, id, b) VALUES ($2, $1, $3)",
                &["a".into(), 7.into(), (&[1u8, 2][..]).into()],
            )?;
            let rows = tx.query("SELECT id, n, b FROM t WHERE n = $1 AND id = $2", &[7.into(), "a".into()])?;
            assert_eq!(rows[0].text(0)?, "a");
            assert_eq!(rows[0].int(1)?, 7);
            assert_eq!(rows[0].bytes(2)?, [1, 2]);
            assert!(matches!(rows[0].int(0), Err(StoreError::Column { column: 0, .. })));
            Ok(())
        })
    }

    #[test]
    fn what_fails_leaves_nothing_behind() -> Result<(), StoreError> {
        let store = Store::in_memory()?;
        store.migrate("t", &[FIRST])?;
        let failed: Result<(), StoreError> = store.transaction(|tx| {
            tx.execute("INSERT INTO t (id) VALUES ($1)", &["a".into()])?;
            Err(StoreError::Poisoned)
        });
        assert!(failed.is_err());
        assert!(store.transaction(|tx| tx.query("SELECT id FROM t", &[]))?.is_empty());
        Ok(())
    }

    #[test]
    fn steps_apply_once_and_may_not_change() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("state.db");
        Store::open(&path)?.migrate("t", &[FIRST])?;
        let store = Store::open(&path)?;
        store.migrate("t", &[FIRST, SECOND])?;
        store.migrate("t", &[FIRST, SECOND])?;
        let changed = Migration { name: "first", sql: "CREATE TABLE t (id TEXT)" };
        assert!(matches!(store.migrate("t", &[changed, SECOND]), Err(StoreError::MigrationChanged { .. })));
        assert!(matches!(store.migrate("t", &[FIRST]), Err(StoreError::Newer { .. })));
        Ok(())
    }

    #[test]
    fn who_only_reads_changes_nothing_beside_who_writes() -> Result<(), Box<dyn std::error::Error>> {
        let dir = tempfile::tempdir()?;
        let path = dir.path().join("state.db");
        assert!(matches!(Store::open_to_read(&path), Err(StoreError::Open { .. })), "it made a file");
        let store = Store::open(&path)?;
        store.migrate("t", &[FIRST])?;
        let reader = Store::open_to_read(&path)?;
        reader.migrate("t", &[FIRST])?;
        assert!(matches!(reader.migrate("t", &[FIRST, SECOND]), Err(StoreError::Older { name: "second", .. })));
        let insert = "INSERT INTO t (id) VALUES ('a')";
        assert!(reader.transaction(|tx| tx.execute(insert, &[])).is_err());
        store.transaction(|tx| tx.execute(insert, &[]))?;
        assert_eq!(reader.transaction(|tx| tx.query("SELECT id FROM t", &[]))?.len(), 1);
        // While somebody else writes, and with nobody there.
        store.transaction(|_| {
            assert_eq!(reader.transaction(|tx| tx.query("SELECT id FROM t", &[]))?.len(), 1);
            Ok::<_, StoreError>(())
        })?;
        drop((store, reader));
        let alone = Store::open_to_read(&path)?;
        assert_eq!(alone.transaction(|tx| tx.query("SELECT id FROM t", &[]))?.len(), 1);
        Ok(())
    }

    #[test]
    fn a_dollar_in_quotes_or_a_comment_is_no_parameter() {
        for (sql, expected) in [
            ("SELECT $1, $12", "SELECT ?1, ?12"),
            ("SELECT '$1', $2", "SELECT '$1', ?2"),
            ("SELECT 'it''s $1', $2", "SELECT 'it''s $1', ?2"),
            ("SELECT \"a$1\", $2", "SELECT \"a$1\", ?2"),
            ("SELECT $1 -- it's $1\n, $2", "SELECT ?1 -- it's $1\n, ?2"),
            ("SELECT 3 - $1", "SELECT 3 - ?1"),
        ] {
            assert_eq!(numbered(sql), expected);
        }
    }

    #[test]
    fn a_panic_rolls_back_and_the_store_goes_on() -> Result<(), StoreError> {
        let store = Store::in_memory()?;
        store.migrate("t", &[FIRST])?;
        let other = store.clone();
        let panicked = std::thread::spawn(move || {
            other.transaction(|tx| -> Result<(), StoreError> {
                tx.execute("INSERT INTO t (id) VALUES ($1)", &["a".into()])?;
                panic!("a bug elsewhere");
            })
        });
        assert!(panicked.join().is_err());
        assert!(store.transaction(|tx| tx.query("SELECT id FROM t", &[]))?.is_empty());
        Ok(())
    }

    #[test]
    fn the_files_are_for_the_owner_alone() -> Result<(), Box<dyn std::error::Error>> {
        use std::os::unix::fs::PermissionsExt;
        let dir = tempfile::tempdir()?;
        let store = Store::open(&dir.path().join("state.db"))?;
        store.migrate("t", &[FIRST])?;
        for entry in std::fs::read_dir(dir.path())? {
            let entry = entry?;
            assert_eq!(entry.metadata()?.permissions().mode() & 0o777, 0o600, "{:?}", entry.file_name());
        }
        Ok(())
    }
}
