//! The three column types of the common dialect, and NULL.

use crate::StoreError;

/// What a parameter or a column holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Value {
    Null,
    Int(i64),
    Text(String),
    Bytes(Vec<u8>),
}

impl Value {
    const fn kind(&self) -> &'static str {
        match self {
            Self::Null => "NULL",
            Self::Int(_) => "a number",
            Self::Text(_) => "text",
            Self::Bytes(_) => "bytes",
        }
    }
}

impl From<i64> for Value {
    fn from(value: i64) -> Self {
        Self::Int(value)
    }
}

impl From<bool> for Value {
    fn from(value: bool) -> Self {
        Self::Int(i64::from(value))
    }
}

impl From<&str> for Value {
    fn from(value: &str) -> Self {
        Self::Text(value.to_owned())
    }
}

impl From<String> for Value {
    fn from(value: String) -> Self {
        Self::Text(value)
    }
}

impl From<&[u8]> for Value {
    fn from(value: &[u8]) -> Self {
        Self::Bytes(value.to_vec())
    }
}

impl<T: Into<Self>> From<Option<T>> for Value {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// One row of a result, columns by position from 0.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row(pub(crate) Vec<Value>);

impl Row {
    fn at(&self, column: usize) -> &Value {
        self.0.get(column).unwrap_or(&Value::Null)
    }

    fn wrong<T>(&self, column: usize, wanted: &'static str) -> Result<T, StoreError> {
        Err(StoreError::Column { column, found: self.at(column).kind(), wanted })
    }

    /// # Errors
    /// The column holds no number.
    pub fn int(&self, column: usize) -> Result<i64, StoreError> {
        match self.at(column) {
            Value::Int(value) => Ok(*value),
            _ => self.wrong(column, "a number"),
        }
    }

    /// # Errors
    /// The column holds something that is neither a number nor NULL.
    pub fn opt_int(&self, column: usize) -> Result<Option<i64>, StoreError> {
        match self.at(column) {
            Value::Null => Ok(None),
            _ => self.int(column).map(Some),
        }
    }

    /// # Errors
    /// The column holds no text.
    pub fn text(&self, column: usize) -> Result<&str, StoreError> {
        match self.at(column) {
            Value::Text(value) => Ok(value),
            _ => self.wrong(column, "text"),
        }
    }

    /// # Errors
    /// The column holds something that is neither text nor NULL.
    pub fn opt_text(&self, column: usize) -> Result<Option<&str>, StoreError> {
        match self.at(column) {
            Value::Null => Ok(None),
            _ => self.text(column).map(Some),
        }
    }

    /// # Errors
    /// The column holds no bytes.
    pub fn bytes(&self, column: usize) -> Result<&[u8], StoreError> {
        match self.at(column) {
            Value::Bytes(value) => Ok(value),
            _ => self.wrong(column, "bytes"),
        }
    }

    /// # Errors
    /// The column holds something that is neither bytes nor NULL.
    pub fn opt_bytes(&self, column: usize) -> Result<Option<&[u8]>, StoreError> {
        match self.at(column) {
            Value::Null => Ok(None),
            _ => self.bytes(column).map(Some),
        }
    }
}
