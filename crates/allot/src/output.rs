//! Writes answers to standard output: as a table for people, as JSON or YAML for programs.

use std::io::{self, BufWriter, Write};

use comfy_table::{Table, TableStyle};
use serde::Serialize;

use crate::args::Format;
use crate::failure::Failure;

/// What a table shows of an answer.
pub(crate) trait Tabular: Serialize {
    const HEAD: &'static [&'static str];

    /// One cell for each heading; an empty one is not known.
    fn cells(&self) -> Vec<String>;
}

pub(crate) fn print<R: Tabular>(rows: &[R], format: Format) -> Result<(), Failure> {
    let mut out = BufWriter::new(io::stdout().lock());
    write(rows, format, &mut out).and_then(|()| out.flush()).map_err(|error| Failure::output(&error))
}

/// One line.
pub(crate) fn line(text: &str) -> Result<(), Failure> {
    writeln!(io::stdout().lock(), "{text}").map_err(|error| Failure::output(&error))
}

/// A text that ends with its own line break.
pub(crate) fn text(text: &str) -> Result<(), Failure> {
    io::stdout().lock().write_all(text.as_bytes()).map_err(|error| Failure::output(&error))
}

/// Something for the person beside the answer, on standard error. Whoever closed that does not want to know.
pub(crate) fn note(text: &str) {
    let _ = writeln!(io::stderr().lock(), "{text}");
}

fn write<R: Tabular>(rows: &[R], format: Format, out: &mut dyn Write) -> io::Result<()> {
    match format {
        Format::Table => out.write_all(table(rows).as_bytes()),
        Format::Json => {
            serde_json::to_writer_pretty(&mut *out, rows)?;
            writeln!(out)
        }
        Format::Yaml => {
            let text = serde_saphyr::to_string(&rows).map_err(io::Error::other)?;
            out.write_all(text.as_bytes())
        }
    }
}

/// Columns that no row fills are left out; nothing at all is printed for no rows.
fn table<R: Tabular>(rows: &[R]) -> String {
    let cells: Vec<Vec<String>> = rows.iter().map(Tabular::cells).collect();
    let shown: Vec<usize> =
        (0..R::HEAD.len()).filter(|&column| cells.iter().any(|row| !row[column].is_empty())).collect();
    if shown.is_empty() {
        return String::new();
    }
    let mut table = Table::new();
    table.load_style(TableStyle::new());
    table.set_header(shown.iter().map(|&column| R::HEAD[column]));
    for row in cells {
        assert_eq!(row.len(), R::HEAD.len(), "one cell for each of {:?}", R::HEAD);
        table.add_row(
            shown.iter().map(|&column| if row[column].is_empty() { "-" } else { row[column].as_str() }),
        );
    }
    for column in table.column_iter_mut() {
        column.set_padding((0, 2));
    }
    let mut text = table.trim_fmt();
    text.push('\n');
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Serialize)]
    struct Pair(&'static str, &'static str, &'static str);

    impl Tabular for Pair {
        const HEAD: &'static [&'static str] = &["NAME", "NODE", "COUNT"];

        fn cells(&self) -> Vec<String> {
            [self.0, self.1, self.2].map(str::to_owned).to_vec()
        }
    }

    fn text(format: Format) -> String {
        let mut out = Vec::new();
        write(&[Pair("rack-a", "", "254"), Pair("b", "", "")], format, &mut out).unwrap();
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn a_table_has_no_lines_no_empty_columns_and_no_trailing_blanks() {
        assert_eq!(text(Format::Table), "NAME    COUNT\nrack-a  254\nb       -\n");
        assert_eq!(table::<Pair>(&[]), "");
    }

    #[test]
    fn numbers_that_are_strings_stay_strings() {
        assert!(text(Format::Json).contains("\"254\""));
        let yaml = text(Format::Yaml);
        assert!(yaml.contains("\"254\"") || yaml.contains("'254'"), "{yaml}");
    }
}
