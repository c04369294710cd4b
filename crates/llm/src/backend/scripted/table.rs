//! Reads a TOML document piece by piece, so that every mistake is told with its line.

use std::ops::Range;

use toml::Spanned;
use toml::de::{DeTable, DeValue};

use crate::OpenBackendError;
use crate::text::{nearest, quotable};

/// A document with the name of where it came from.
#[derive(Clone, Copy)]
pub(super) struct Document<'t> {
    pub(super) origin: &'t str,
    pub(super) text: &'t str,
}

/// A value of a document under its key.
#[derive(Clone, Copy)]
pub(super) struct Value<'t> {
    pub(super) document: Document<'t>,
    pub(super) key: &'t str,
    pub(super) value: &'t Spanned<DeValue<'t>>,
}

/// A table of a document.
#[derive(Clone, Copy)]
pub(super) struct Table<'t> {
    pub(super) document: Document<'t>,
    pub(super) span_start: usize,
    pub(super) entries: &'t DeTable<'t>,
}

type Read<T> = Result<T, OpenBackendError>;

impl<'t> Document<'t> {
    pub(super) fn line(&self, offset: usize) -> usize {
        let before = self.text.as_bytes().get(..offset).unwrap_or(self.text.as_bytes());
        1 + before.iter().filter(|byte| **byte == b'\n').count()
    }

    pub(super) fn mistake(&self, span: Range<usize>, reason: impl Into<String>) -> OpenBackendError {
        let line = self.line(span.start);
        OpenBackendError::BadScript { origin: self.origin.to_owned(), line, reason: reason.into() }
    }
}

impl<'t> Table<'t> {
    /// Refuses keys that nobody reads.
    pub(super) fn only(&self, known: &[&str]) -> Read<()> {
        let Some(unknown) = self.entries.keys().find(|key| !known.contains(&key.get_ref().as_ref())) else {
            return Ok(());
        };
        let name = quotable(unknown.get_ref(), 80);
        let reason = match nearest(unknown.get_ref(), known.iter().copied()) {
            Some(nearest) => format!("unknown key `{name}`; did you mean `{nearest}`?"),
            None => format!("unknown key `{name}`; known are {}", listed(known)),
        };
        Err(self.document.mistake(unknown.span(), reason))
    }

    pub(super) fn get(&self, key: &'t str) -> Option<Value<'t>> {
        self.entries.get(key).map(|value| Value { document: self.document, key, value })
    }

    pub(super) fn mistake(&self, reason: impl Into<String>) -> OpenBackendError {
        self.document.mistake(self.span_start..self.span_start, reason)
    }
}

impl<'t> Value<'t> {
    pub(super) fn mistake(&self, reason: impl Into<String>) -> OpenBackendError {
        self.document.mistake(self.value.span(), format!("`{}`: {}", self.key, reason.into()))
    }

    fn expected(&self, what: &str) -> OpenBackendError {
        self.mistake(format!("expected {what}, found {}", self.value.get_ref().type_str()))
    }

    pub(super) fn string(&self) -> Read<&'t str> {
        self.value.get_ref().as_str().ok_or_else(|| self.expected("a string"))
    }

    pub(super) fn integer(&self) -> Read<i64> {
        let integer = self.value.get_ref().as_integer().ok_or_else(|| self.expected("an integer"))?;
        i64::from_str_radix(integer.as_str(), integer.radix()).map_err(|_| self.mistake("this integer is too large"))
    }

    /// Reads an integer from 0 to a bound.
    pub(super) fn count(&self, max: u32) -> Read<u32> {
        let integer = self.integer()?;
        match u32::try_from(integer) {
            Ok(count) if count <= max => Ok(count),
            Ok(_) | Err(_) => Err(self.mistake(format!("expected a number from 0 to {max}, found {integer}"))),
        }
    }

    pub(super) fn array(&self) -> Read<impl Iterator<Item = Self> + use<'t>> {
        let Self { document, key, value } = *self;
        let items = value.get_ref().as_array().ok_or_else(|| self.expected("an array"))?;
        Ok(items.iter().map(move |value| Self { document, key, value }))
    }

    /// Reads a list, or one value as a list of one.
    pub(super) fn one_or_many<T>(&self, read: impl Fn(Self) -> Read<T>) -> Read<Vec<T>> {
        if self.value.get_ref().is_array() { self.array()?.map(read).collect() } else { Ok(vec![read(*self)?]) }
    }

    pub(super) fn table(&self) -> Read<Table<'t>> {
        let entries = self.value.get_ref().as_table().ok_or_else(|| self.expected("a table"))?;
        Ok(Table { document: self.document, span_start: self.value.span().start, entries })
    }

    /// Reads one of a few words.
    pub(super) fn word<T: Copy>(&self, words: &[(&str, T)]) -> Read<T> {
        let word = self.string()?;
        if let Some((_, value)) = words.iter().find(|(known, _)| *known == word) {
            return Ok(*value);
        }
        let known: Vec<_> = words.iter().map(|(known, _)| *known).collect();
        Err(self.mistake(format!("`{}` is none of {}", quotable(word, 80), listed(&known))))
    }
}

fn listed(names: &[&str]) -> String {
    names.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ")
}
