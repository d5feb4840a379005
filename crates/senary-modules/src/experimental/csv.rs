//! `k6/experimental/csv`: CSV files, whole as a shared array or row by row.
//! (<https://grafana.com/docs/k6/latest/javascript-api/k6-experimental/csv/>)
//!
//! Rows are counted from 0, the first line being row 0 whether it is skipped, names the columns, or is data.

use std::cell::RefCell;
use std::io::Cursor;
use std::sync::Arc;

use rquickjs::function::{Constructor, Opt, This};
use rquickjs::{Class, Coerced, Ctx, Object, Value};
use senary_js::give_way::give_way;
use senary_js::source::loader::only_in_init;
use senary_js::{errors, hints, native, native_class, promise, script_context};

use super::fs::File;
use crate::data;

pub fn exports<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let module = Object::new(ctx.clone())?;
    module.set("parse", native::function(ctx, parse)?.with_name("parse")?)?;
    let construct = |ctx: Ctx<'js>, file: Opt<Value<'js>>, options: Opt<Value<'js>>| {
        let parser = Parser::new(&ctx, file.0, options.0)?;
        Class::instance(ctx, parser)
    };
    let constructor = Constructor::new_class::<Parser, _, _>(ctx.clone(), construct)?;
    constructor.set_name("Parser")?;
    module.set("Parser", constructor)?;
    Ok(module)
}

/// How to read a file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Options {
    pub delimiter: u8,
    pub skip_first_line: bool,
    pub from_line: u64,
    pub to_line: u64,
    pub as_objects: bool,
}

impl Default for Options {
    fn default() -> Self {
        Self { delimiter: b',', skip_first_line: false, from_line: 0, to_line: u64::MAX, as_objects: false }
    }
}

const OPTIONS: [&str; 5] = ["delimiter", "skipFirstLine", "fromLine", "toLine", "asObjects"];

impl Options {
    fn from_script<'js>(ctx: &Ctx<'js>, value: Option<Value<'js>>) -> rquickjs::Result<Self> {
        let mut options = Self::default();
        let Some(value) = value.filter(|value| !value.is_undefined() && !value.is_null()) else {
            return Ok(options);
        };
        let refuse =
            |reason: &str| Err(errors::throw_type_error(ctx, &format!("invalid csv options: {reason}")));
        let Some(object) = value.as_object() else { return refuse("an object is expected") };
        hints::unknown_fields("k6/experimental/csv", object, &OPTIONS)?;
        let get = |name: &str| object.get::<_, Option<Value<'js>>>(name);
        if let Some(delimiter) = get("delimiter")?.filter(|value| !value.is_null()) {
            let text = delimiter.get::<Coerced<String>>()?.0;
            match text.as_bytes() {
                [byte] if !matches!(byte, b'"' | b'\r' | b'\n') => options.delimiter = *byte,
                _ => {
                    return refuse(
                        "delimiter must be one ASCII character other than a quote or a line break",
                    );
                }
            }
        }
        let flag = |name: &str| {
            Ok::<_, rquickjs::Error>(get(name)?.is_some_and(|value| value.as_bool() == Some(true)))
        };
        options.skip_first_line = flag("skipFirstLine")?;
        options.as_objects = flag("asObjects")?;
        for (name, line) in [("fromLine", &mut options.from_line), ("toLine", &mut options.to_line)] {
            if let Some(value) = get(name)?.filter(|value| !value.is_null()) {
                match value.as_number().filter(|n| *n >= 0.0 && n.fract() == 0.0) {
                    Some(number) => *line = number as u64,
                    None => return refuse(&format!("{name} must be a line number, from 0")),
                }
            }
        }
        if options.from_line > options.to_line {
            return refuse("fromLine must not be greater than toLine");
        }
        Ok(options)
    }
}

/// Where in a field a reader is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Field {
    Start,
    Plain,
    Quoted,
    /// After a quote that ends the field or is the first of two.
    Closed,
}

const BYTE_ORDER_MARK: &[u8] = "\u{feff}".as_bytes();

/// Why there is no next row.
#[derive(Debug, thiserror::Error)]
pub enum CsvError {
    #[error("record on line {line}: extraneous or missing \" in quoted-field")]
    Quote { line: usize },
    #[error(transparent)]
    Read(#[from] csv::Error),
}

/// Rows of a file, one after the other.
pub struct Rows {
    reader: csv::Reader<Cursor<Arc<[u8]>>>,
    options: Options,
    /// Names of columns, once the first line was read as such.
    columns: Option<Arc<[String]>>,
    line: u64,
}

impl Rows {
    pub fn new(data: Arc<[u8]>, options: Options) -> Self {
        let reader = csv::ReaderBuilder::new()
            .has_headers(false)
            .flexible(true)
            .delimiter(options.delimiter)
            .from_reader(Cursor::new(data));
        Self { reader, options, columns: None, line: 0 }
    }

    /// The next row that the options ask for.
    pub fn next(&mut self) -> Result<Option<csv::ByteRecord>, CsvError> {
        let mut record = csv::ByteRecord::new();
        loop {
            if self.line > self.options.to_line || !self.reader.read_byte_record(&mut record)? {
                return Ok(None);
            }
            let is_last = self.reader.position().byte() == self.reader.get_ref().get_ref().len() as u64;
            if let Some(start) = record.position().filter(|_| is_last) {
                self.check_quotes(start.byte())?;
            }
            let line = self.line;
            self.line += 1;
            if line == 0 && self.options.as_objects {
                self.columns = Some(record.iter().map(text).collect());
            } else if line >= self.options.from_line && !(line == 0 && self.options.skip_first_line) {
                return Ok(Some(record));
            }
        }
    }

    /// Whether the quotes of the last row, which starts there, are closed: the library ends an open quote at the end of
    /// the file.
    fn check_quotes(&self, start: u64) -> Result<(), CsvError> {
        let data: &[u8] = self.reader.get_ref().get_ref();
        let (before, row) = data.split_at_checked(start as usize).unwrap_or((data, &[]));
        let state = row.strip_prefix(BYTE_ORDER_MARK).unwrap_or(row).iter().fold(
            Field::Start,
            |state, byte| match (state, *byte) {
                (Field::Start | Field::Closed, b'"') => Field::Quoted,
                (Field::Quoted, b'"') => Field::Closed,
                (Field::Quoted, _) => Field::Quoted,
                (_, b'\r' | b'\n') => Field::Start,
                (_, byte) if byte == self.options.delimiter => Field::Start,
                _ => Field::Plain,
            },
        );
        if state != Field::Quoted {
            return Ok(());
        }
        // Empty lines, and the second half of a line break, may still stand before the row.
        let breaks =
            row.iter().take_while(|byte| matches!(byte, b'\r' | b'\n')).filter(|byte| **byte == b'\n');
        Err(CsvError::Quote { line: 1 + memchr::memchr_iter(b'\n', before).count() + breaks.count() })
    }

    /// A row as JSON: an array of its fields, or an object of those that have a column.
    pub fn json(&self, record: &csv::ByteRecord) -> String {
        let fields = record.iter().map(text);
        let json = match &self.columns {
            None => serde_json::Value::from_iter(fields),
            Some(columns) => serde_json::Value::from_iter(columns.iter().cloned().zip(fields)),
        };
        json.to_string()
    }
}

fn text(field: &[u8]) -> String {
    String::from_utf8_lossy(field).into_owned()
}

fn parse<'js>(
    ctx: Ctx<'js>,
    file: Opt<Value<'js>>,
    options: Opt<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    let parsed = parse_now(&ctx, file.0, options.0);
    promise::of_result(&ctx, parsed)
}

fn parse_now<'js>(
    ctx: &Ctx<'js>,
    file: Option<Value<'js>>,
    options: Option<Value<'js>>,
) -> rquickjs::Result<Value<'js>> {
    refuse_after_init(ctx, "csv.parse")?;
    let (path, data) = source(ctx, "parse()", file)?;
    let options = Options::from_script(ctx, options)?;
    // The content of the file and the options identify the array; scripts cannot use this name for an array of their
    // own.
    let name = format!("\0csv\0{path}\0{options:?}");
    data::shared(ctx, &name, |elements| {
        let mut rows = Rows::new(data, options);
        while let Some(record) = rows.next().map_err(|e| thrown(ctx, &e))? {
            elements.push(&rows.json(&record));
            give_way(ctx)?;
        }
        Ok(())
    })
}

/// If a file were read while the load runs, every iteration would read it again.
fn refuse_after_init(ctx: &Ctx<'_>, function: &str) -> rquickjs::Result<()> {
    match script_context::is_vu(ctx) {
        true => Err(errors::throw_go_error(ctx, &only_in_init(function))),
        false => Ok(()),
    }
}

fn source<'js>(
    ctx: &Ctx<'js>,
    function: &str,
    file: Option<Value<'js>>,
) -> rquickjs::Result<(String, Arc<[u8]>)> {
    match file.and_then(|file| Class::<File>::from_value(&file).ok()) {
        Some(file) => Ok((file.borrow().path().to_owned(), file.borrow().data().clone())),
        None => {
            let text =
                format!("csv {function} failed; reason: a file opened by k6/experimental/fs is expected");
            Err(errors::throw_type_error(ctx, &text))
        }
    }
}

fn thrown(ctx: &Ctx<'_>, error: &CsvError) -> rquickjs::Error {
    errors::throw_go_error(ctx, &format!("cannot parse the csv file: {error}"))
}

/// Reads a file row by row, from where this VU is.
struct Parser(RefCell<Rows>);

impl Parser {
    fn new<'js>(
        ctx: &Ctx<'js>,
        file: Option<Value<'js>>,
        options: Option<Value<'js>>,
    ) -> rquickjs::Result<Self> {
        refuse_after_init(ctx, "csv.Parser")?;
        let (_, data) = source(ctx, "Parser constructor", file)?;
        Ok(Self(RefCell::new(Rows::new(data, Options::from_script(ctx, options)?))))
    }
}

fn next<'js>(ctx: Ctx<'js>, this: This<Class<'js, Parser>>) -> rquickjs::Result<Value<'js>> {
    let parser = this.0.borrow();
    let row = row(&ctx, &mut parser.0.borrow_mut());
    promise::of_result(&ctx, row)
}

fn row<'js>(ctx: &Ctx<'js>, rows: &mut Rows) -> rquickjs::Result<Value<'js>> {
    let record = rows.next().map_err(|e| thrown(ctx, &e))?;
    let result = Object::new(ctx.clone())?;
    result.set("done", record.is_none())?;
    match record {
        Some(record) => result.set("value", ctx.json_parse(rows.json(&record))?)?,
        None => result.set("value", Value::new_undefined(ctx.clone()))?,
    }
    Ok(result.into_value())
}

// `exports` makes it.
native_class!(Parser, "Parser", prototype);

fn prototype<'js>(ctx: &Ctx<'js>) -> rquickjs::Result<Object<'js>> {
    let prototype = Object::new(ctx.clone())?;
    prototype.set("next", native::function(ctx, next)?.with_name("next")?)?;
    Ok(prototype)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn rows(text: &str, options: Options) -> Vec<String> {
        let mut rows = Rows::new(text.as_bytes().into(), options);
        std::iter::from_fn(|| rows.next().unwrap().map(|record| rows.json(&record))).collect()
    }

    const TEXT: &str = "name,age\nann,31\r\nbob,\"2,2\"\n\"c \"\"d\"\"\",3,more\n";

    #[test]
    fn rows_are_arrays_or_objects() {
        let all = rows(TEXT, Options::default());
        assert_eq!(
            all,
            [r#"["name","age"]"#, r#"["ann","31"]"#, r#"["bob","2,2"]"#, r#"["c \"d\"","3","more"]"#]
        );
        let objects = rows(TEXT, Options { as_objects: true, ..Options::default() });
        assert_eq!(
            objects,
            [
                r#"{"name":"ann","age":"31"}"#,
                r#"{"name":"bob","age":"2,2"}"#,
                r#"{"name":"c \"d\"","age":"3"}"#
            ]
        );
    }

    #[test]
    fn lines_are_chosen() {
        let skip = Options { skip_first_line: true, ..Options::default() };
        assert_eq!(rows(TEXT, skip).len(), 3);
        let some = Options { from_line: 1, to_line: 2, ..Options::default() };
        assert_eq!(rows(TEXT, some.clone()), [r#"["ann","31"]"#, r#"["bob","2,2"]"#]);
        let objects = Options { as_objects: true, from_line: 2, ..some };
        assert_eq!(rows(TEXT, objects), [r#"{"name":"bob","age":"2,2"}"#]);
        let semicolons = Options { delimiter: b';', ..Options::default() };
        assert_eq!(rows("a;b,c\n\nd", semicolons), [r#"["a","b,c"]"#, r#"["d"]"#]);
    }

    #[test]
    fn quotes_are_closed() {
        let line_of_error = |text: &str| {
            let mut rows = Rows::new(text.as_bytes().into(), Options::default());
            std::iter::from_fn(|| rows.next().transpose()).find_map(|row| match row {
                Err(CsvError::Quote { line }) => Some(line),
                other => other.map(|_| None).unwrap(),
            })
        };
        for (text, line) in [
            ("a,\"b", 1),
            ("a\nb,\"\"\"\n\nc", 2),
            ("\"", 1),
            ("a\r\n\"b\"\"", 2),
            ("\"a\"\"\"\"\n", 1),
            ("\u{feff}\"", 1),
        ] {
            assert_eq!(line_of_error(text), Some(line), "{text:?}");
        }
        for text in
            ["", "\"a\"", "\"a\"\"\"", "a\"b", "a\"\"b", "a,b\"", "a \"b\" c\n", "\"a\"b\"", "\"\",\"\"\n"]
        {
            assert_eq!(line_of_error(text), None, "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn any_text_is_read(text in "[a-c,\"\n\r☃]{0,40}", as_objects in any::<bool>()) {
            let mut rows = Rows::new(text.as_bytes().into(), Options { as_objects, ..Options::default() });
            while let Ok(Some(record)) = rows.next() {
                rows.json(&record);
            }
        }

        #[test]
        fn fields_survive(table in proptest::collection::vec(proptest::collection::vec("[a-c,\"\n ☃]{1,6}", 1..4), 0..5)) {
            let quoted = |field: &String| format!("\"{}\"", field.replace('"', "\"\""));
            let text: String = table.iter().map(|row| row.iter().map(quoted).collect::<Vec<_>>().join(",") + "\n").collect();
            let expected: Vec<_> = table.iter().map(|row| serde_json::json!(row).to_string()).collect();
            prop_assert_eq!(rows(&text, Options::default()), expected);
        }
    }
}
