//! Shader text: generated constants in front, imports inlined, and the way back from a line of
//! the result to the file it came from.

use std::fmt::Write as _;

use super::error::GpuError;

/// A comment that says where the next line comes from: `//@ file:line`.
const ORIGIN: &str = "//@ ";

/// A value for a generated `const` line.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Constant {
    /// An unsigned integer.
    U32(u32),
    /// A signed integer.
    I32(i32),
    /// A finite number; the shader sees exactly this one.
    F32(f32),
    /// A truth value.
    Bool(bool),
}

impl Constant {
    /// Type and literal in WGSL.
    fn wgsl(self) -> Result<(&'static str, String), &'static str> {
        Ok(match self {
            Self::U32(value) => ("u32", format!("{value}u")),
            // The literal 2147483648i does not exist, so its negative cannot be written as one.
            Self::I32(i32::MIN) => ("i32", "-2147483647i - 1i".to_owned()),
            Self::I32(value) => ("i32", format!("{value}i")),
            // Rust prints the shortest decimal that reads back as the same number.
            Self::F32(value) if value.is_finite() => ("f32", format!("{value:?}f")),
            Self::F32(_) => return Err("infinities and NaN cannot be written in WGSL"),
            Self::Bool(value) => ("bool", value.to_string()),
        })
    }
}

/// Puts a `const` line for each of `constants` in front of `source`.
///
/// # Errors
/// [`GpuError::BadConstant`] for a name that is no identifier or occurs twice, and for a number
/// that is not finite.
pub fn with_constants(source: &str, constants: &[(&str, Constant)]) -> Result<String, GpuError> {
    let mut text = format!("{ORIGIN}constants:1\n");
    for (index, (name, value)) in constants.iter().enumerate() {
        let bad = |message: &str| GpuError::BadConstant {
            name: (*name).to_owned(),
            message: message.to_owned(),
        };
        if !is_identifier(name) {
            return Err(bad("the name is not an identifier"));
        }
        if constants[..index]
            .iter()
            .any(|(earlier, _)| earlier == name)
        {
            return Err(bad("it is given twice"));
        }
        let (kind, literal) = value.wgsl().map_err(bad)?;
        let _ = writeln!(text, "const {name}: {kind} = {literal};");
    }
    if !source.starts_with(ORIGIN) {
        let _ = writeln!(text, "{ORIGIN}source:1");
    }
    text.push_str(source);
    Ok(text)
}

fn is_identifier(name: &str) -> bool {
    let mut letters = name.chars();
    letters
        .next()
        .is_some_and(|first| first.is_ascii_alphabetic() || first == '_')
        && letters.all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
        && name != "_"
        && !name.starts_with("__")
}

/// The text of `file` with every `#import "name"` line replaced by that file's text. Names are
/// looked up in `table`, pairs of name and text; a file is inlined once, at its first import.
///
/// # Errors
/// [`GpuError::Import`] for a file that is not in the table and for a malformed line.
pub fn resolve_imports(file: &str, table: &[(&str, &str)]) -> Result<String, GpuError> {
    let mut text = String::new();
    let mut inlined = Vec::new();
    inline(file, file, table, &mut inlined, &mut text)?;
    Ok(text)
}

fn inline<'a>(
    file: &'a str,
    asked_at: &str,
    table: &[(&'a str, &'a str)],
    inlined: &mut Vec<&'a str>,
    text: &mut String,
) -> Result<(), GpuError> {
    let Some((_, source)) = table.iter().find(|(name, _)| *name == file) else {
        let known: Vec<_> = table.iter().map(|(name, _)| *name).collect();
        return Err(GpuError::Import {
            location: asked_at.to_owned(),
            message: format!(
                "there is no shader file `{file}`; there are {}",
                known.join(", ")
            ),
        });
    };
    inlined.push(file);
    let _ = writeln!(text, "{ORIGIN}{file}:1");
    for (line, content) in (1..).zip(source.lines()) {
        let Some(argument) = content.trim_start().strip_prefix("#import") else {
            text.push_str(content);
            text.push('\n');
            continue;
        };
        let location = format!("{file}:{line}");
        let name = argument
            .trim()
            .strip_prefix('"')
            .and_then(|rest| rest.strip_suffix('"'));
        let Some(name) = name.filter(|name| !name.contains('"')) else {
            let message = format!("expected `#import \"file\"`, found `{}`", content.trim());
            return Err(GpuError::Import { location, message });
        };
        if !inlined.contains(&name) {
            inline(name, &location, table, inlined, text)?;
        }
        let _ = writeln!(text, "{ORIGIN}{file}:{}", line + 1);
    }
    Ok(())
}

/// `file:line` of line `line` (from 1) of a resolved text; text without origin comments belongs
/// to `default_file`.
pub(super) fn locate(text: &str, line: u32, default_file: &str) -> String {
    let mut origin = (default_file, 1_u32);
    for content in text.lines().take(line.saturating_sub(1) as usize) {
        let marker = content
            .strip_prefix(ORIGIN)
            .and_then(|marker| marker.rsplit_once(':'))
            .and_then(|(file, first)| Some((file, first.parse().ok()?)));
        match marker {
            Some(marker) => origin = marker,
            None => origin.1 += 1,
        }
    }
    format!("{}:{}", origin.0, origin.1)
}

#[cfg(test)]
mod tests {
    use super::*;

    const TABLE: [(&str, &str); 4] = [
        (
            "main.wgsl",
            "// first\n#import \"common/a.wgsl\"\n#import \"common/b.wgsl\"\nlast",
        ),
        (
            "common/a.wgsl",
            "in a\n  #import \"common/b.wgsl\"\nin a again\n",
        ),
        ("common/b.wgsl", "in b\n"),
        ("broken.wgsl", "\n#import common/b.wgsl\n"),
    ];

    #[test]
    fn imports_are_inlined_once_and_lines_found_again() {
        let text = resolve_imports("main.wgsl", &TABLE).expect("resolves");
        let text = with_constants(&text, &[("N", Constant::U32(1))]).expect("valid");
        assert_eq!(text.matches("in b").count(), 1);
        for (content, location) in [
            ("const N: u32 = 1u;", "constants:1"),
            ("// first", "main.wgsl:1"),
            ("in a", "common/a.wgsl:1"),
            ("in b", "common/b.wgsl:1"),
            ("in a again", "common/a.wgsl:3"),
            ("last", "main.wgsl:4"),
        ] {
            let line = text
                .lines()
                .position(|line| line == content)
                .expect(content);
            assert_eq!(locate(&text, line as u32 + 1, "?"), location, "{content}");
        }
        assert_eq!(locate("a\nb", 2, "kernel"), "kernel:2");
    }

    #[test]
    fn bad_imports_name_file_and_line() {
        let error = resolve_imports("broken.wgsl", &TABLE).expect_err("malformed");
        assert!(error.to_string().starts_with("broken.wgsl:2: "), "{error}");
        let table = [("main.wgsl", "\n\n#import \"gone.wgsl\"")];
        let error = resolve_imports("main.wgsl", &table).expect_err("unknown file");
        let message = error.to_string();
        assert!(message.starts_with("main.wgsl:3: "), "{message}");
        assert!(message.contains("`gone.wgsl`"), "{message}");
    }

    #[test]
    fn constants_are_checked() {
        let infinite = [("A", Constant::F32(f32::INFINITY))];
        let nan = [("A", Constant::F32(f32::NAN))];
        let twice = [("A", Constant::U32(1)), ("A", Constant::U32(1))];
        let name = [("1A", Constant::U32(1))];
        for constants in [&infinite[..], &nan, &twice, &name] {
            assert!(with_constants("", constants).is_err(), "{constants:?}");
        }
    }
}
