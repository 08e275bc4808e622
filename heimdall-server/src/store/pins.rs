//! Versions of plugins that operators chose, kept over a restart.

use rusqlite::params;
use semver::Version;

use super::{Store, StoreError};

/// A version that new jobs of a plugin go to, by an operator's choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pin {
    /// The plugin's name.
    pub plugin: String,
    /// The version that was chosen.
    pub version: Version,
    /// Who chose it.
    pub set_by: String,
    /// When, in seconds since 1970.
    pub set_at: i64,
}

impl Store {
    /// Every pin.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub fn pins(&self) -> Result<Vec<Pin>, StoreError> {
        self.read(|connection| {
            let sql = "SELECT plugin, version, set_by, set_at FROM pins ORDER BY plugin";
            let mut statement = connection.prepare_cached(sql)?;
            let rows = statement.query_map([], |row| {
                Ok((
                    row.get(0)?,
                    row.get::<_, String>(1)?,
                    row.get(2)?,
                    row.get(3)?,
                ))
            })?;
            let mut pins = Vec::new();
            for row in rows {
                let (plugin, version, set_by, set_at) = row?;
                // Only versions that were parsed are written.
                if let Ok(version) = version.parse() {
                    pins.push(Pin {
                        plugin,
                        version,
                        set_by,
                        set_at,
                    });
                }
            }
            Ok(pins)
        })
    }

    /// Keeps a pin in the place of the plugin's earlier one.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn set_pin(&self, pin: Pin) -> Result<(), StoreError> {
        self.writer
            .write(move |connection| {
                let sql = "INSERT OR REPLACE INTO pins (plugin, version, set_by, set_at) VALUES (?, ?, ?, ?)";
                connection.prepare_cached(sql)?.execute(params![
                    pin.plugin,
                    pin.version.to_string(),
                    pin.set_by,
                    pin.set_at
                ])?;
                Ok(())
            })
            .await
    }

    /// Forgets a plugin's pin, where there is one.
    ///
    /// # Errors
    /// The store cannot be read or written.
    pub async fn remove_pin(&self, plugin: String) -> Result<(), StoreError> {
        self.writer
            .write(move |connection| {
                let sql = "DELETE FROM pins WHERE plugin = ?";
                connection.prepare_cached(sql)?.execute([plugin])?;
                Ok(())
            })
            .await
    }
}
