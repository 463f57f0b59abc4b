//! One source of settings, flattened: every key with its value and its origin.

use std::{collections::BTreeMap, ffi::OsString, fmt, path::Path, sync::Arc};

use toml::{
    Spanned,
    de::{DeTable, DeValue},
};

use super::{
    faults::{ConfigFault, Problem},
    file,
    key::ConfigKey,
    value::ConfigValue,
};
use crate::domain::LineStarts;

/// Lists the configuration files, so it sets no key.
const FILES_VARIABLE: &str = "REVOKER_CONFIG";

/// The origin of a value.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum ValueOrigin {
    /// The compiled-in defaults.
    Default,
    /// A file, at a line counted from 1.
    File(Arc<Path>, usize),
    /// The environment variable of this name.
    Variable(String),
}

impl fmt::Display for ValueOrigin {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => f.write_str("built-in default"),
            Self::File(path, line) => write!(f, "{}:{line}", file::shown(path)),
            Self::Variable(name) => write!(f, "{}", name.escape_debug()),
        }
    }
}

/// A value and its origin. Not `Debug`: it may be a secret.
pub(super) struct LayerEntry {
    pub(super) value: ConfigValue,
    pub(super) origin: ValueOrigin,
}

/// All settings of one source.
#[derive(Default)]
pub(super) struct ConfigLayer {
    pub(super) entries: BTreeMap<ConfigKey, LayerEntry>,
    /// Why the source, or a part of it, could not be read. Its entries are incomplete then.
    pub(super) faults: Vec<ConfigFault>,
}

impl ConfigLayer {
    /// Reads the compiled-in defaults.
    pub(super) fn defaults(text: &str) -> Self {
        Self::parse(text, &|_| ValueOrigin::Default)
    }

    pub(super) fn file(path: &Path) -> Self {
        let text = file::read(path).and_then(|bytes| {
            String::from_utf8(bytes).map_err(|error| {
                let line = LineStarts::of(error.as_bytes()).line(error.utf8_error().valid_up_to());
                Problem::new(
                    format!("is not UTF-8 (line {line})"),
                    "save it as UTF-8, which TOML requires",
                )
            })
        });
        let shared: Arc<Path> = Arc::from(path);
        match text {
            Ok(text) => Self::parse(&text, &|line| ValueOrigin::File(shared.clone(), line)),
            Err(problem) => {
                let fault = ConfigFault::new(None, Some(file::shown(path)), problem);
                Self { faults: vec![fault], ..Self::default() }
            }
        }
    }

    /// Reads our variables from the environment.
    pub(super) fn environment(variables: impl Iterator<Item = (OsString, OsString)>) -> Self {
        let mut layer = Self::default();
        for (name, value) in variables {
            let name = name.to_string_lossy().into_owned();
            if name == FILES_VARIABLE {
                continue;
            }
            let Some(key) = ConfigKey::from_variable(&name) else { continue };
            let origin = ValueOrigin::Variable(name);
            if let Ok(value) = value.into_string() {
                layer.entries.insert(key, LayerEntry { value: ConfigValue::Raw(value), origin });
            } else {
                let problem = Problem::new("is not UTF-8", "set it to valid UTF-8");
                let fault =
                    ConfigFault::new(Some(key.to_string()), Some(origin.to_string()), problem);
                layer.faults.push(fault);
            }
        }
        layer
    }

    /// Reads a document in the form of TOML; `origin` returns the origin of a line.
    pub(super) fn parse(text: &str, origin: &dyn Fn(usize) -> ValueOrigin) -> Self {
        let (table, errors) = DeTable::parse_recoverable(text);
        let lines = LineStarts::of(text.as_bytes());
        let mut layer = Self { faults: syntax_faults(&errors, &lines, origin), ..Self::default() };
        // Settings recovered from a broken document are unreliable, and a part of a secret may look like a key. So they
        // are ignored.
        if layer.faults.is_empty() {
            let at = |byte| origin(lines.line(byte));
            layer.flatten(&ConfigKey::root(), table.into_inner(), &at);
        }
        layer
    }

    fn flatten(
        &mut self,
        above: &ConfigKey,
        table: DeTable<'_>,
        origin: &dyn Fn(usize) -> ValueOrigin,
    ) {
        for (name, value) in table {
            let key = above.child(name.get_ref());
            match value.into_inner() {
                DeValue::Table(table) if !table.is_empty() => self.flatten(&key, table, origin),
                value => {
                    let origin = origin(name.span().start);
                    self.entries.insert(key, LayerEntry { value: convert(value), origin });
                }
            }
        }
    }
}

/// One fault per line: after the first error, further errors of the same line are consequences. The parser's message
/// names the expected syntax. Its `Display` would quote the line, which may contain a secret.
fn syntax_faults(
    errors: &[toml::de::Error],
    lines: &LineStarts,
    origin: &dyn Fn(usize) -> ValueOrigin,
) -> Vec<ConfigFault> {
    let mut faults: Vec<(usize, ConfigFault)> = Vec::new();
    for error in errors {
        let start = error.span().map_or(0, |span| span.start);
        let line = lines.line(start);
        if faults.iter().any(|(seen, _)| *seen == line) {
            continue;
        }
        let problem = Problem::new(
            format!("is not valid TOML: {} (column {})", error.message(), lines.column(start)),
            "correct the line; strings are in double quotes",
        );
        faults.push((line, ConfigFault::new(None, Some(origin(line).to_string()), problem)));
    }
    faults.into_iter().map(|(_, fault)| fault).collect()
}

fn convert(value: DeValue<'_>) -> ConfigValue {
    match value {
        DeValue::String(text) => ConfigValue::Text(text.into_owned()),
        DeValue::Boolean(flag) => ConfigValue::Flag(flag),
        DeValue::Integer(number) => i64::from_str_radix(number.as_str(), number.radix())
            .map_or(ConfigValue::Other("a number beyond 64 bits"), ConfigValue::Integer),
        DeValue::Float(number) => {
            number.as_str().parse().map_or(ConfigValue::Other("not a number"), ConfigValue::Float)
        }
        DeValue::Array(items) => {
            ConfigValue::List(items.into_iter().map(Spanned::into_inner).map(convert).collect())
        }
        DeValue::Datetime(_) => ConfigValue::Other("a date"),
        DeValue::Table(_) => ConfigValue::Table,
    }
}
