//! Text to tokens.

use std::ops::Range;

use super::ExprError;

#[derive(Clone, Debug, PartialEq)]
pub(super) enum Token<'a> {
    Name(&'a str),
    /// A magnitude up to 2^63, of which only the negative fits: the parser sees the sign.
    Int(u64),
    Double(f64),
    Text(String),
    /// An operator or a bracket.
    Symbol(&'static str),
    End,
}

#[derive(Clone, Debug)]
pub(super) struct Spanned<'a> {
    pub(super) token: Token<'a>,
    pub(super) range: Range<usize>,
}

/// Longer ones first, so that the first match is the longest.
const SYMBOLS: [&str; 24] = [
    "&&", "||", "==", "!=", "<=", ">=", "<", ">", "+", "-", "*", "/", "%", "!", "?", ":", ".", ",",
    "(", ")", "[", "]", "{", "}",
];

/// All tokens, the last one is [`Token::End`].
pub(super) fn tokens(text: &str) -> Result<Vec<Spanned<'_>>, ExprError> {
    let mut lexer = Lexer { text, at: 0 };
    let mut tokens = Vec::with_capacity(text.len() / 3 + 2);
    loop {
        lexer.skip_blank();
        let start = lexer.at;
        let token = lexer.token()?;
        let is_last = token == Token::End;
        tokens.push(Spanned {
            token,
            range: start..lexer.at,
        });
        if is_last {
            return Ok(tokens);
        }
    }
}

struct Lexer<'a> {
    text: &'a str,
    at: usize,
}

impl<'a> Lexer<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn skip_blank(&mut self) {
        loop {
            let rest = self.rest();
            let trimmed = rest.trim_start_matches([' ', '\t', '\r', '\n', '\x0c']);
            self.at += rest.len() - trimmed.len();
            if !trimmed.starts_with("//") {
                return;
            }
            self.at += trimmed.find('\n').unwrap_or(trimmed.len());
        }
    }

    fn token(&mut self) -> Result<Token<'a>, ExprError> {
        let rest = self.rest();
        let Some(first) = rest.chars().next() else {
            return Ok(Token::End);
        };
        // `.5` is a double: no field starts with a digit.
        let dotted = first == '.' && digits(&self.rest()[1..]) > 0;
        if first.is_ascii_digit() || dotted {
            return self.number();
        }
        if let Some((raw, prefix)) = string_prefix(rest) {
            return self.string(raw, prefix);
        }
        if first.is_ascii_alphabetic() || first == '_' {
            let length = name_length(rest);
            self.at += length;
            return Ok(Token::Name(&rest[..length]));
        }
        if let Some(symbol) = SYMBOLS.into_iter().find(|symbol| rest.starts_with(symbol)) {
            self.at += symbol.len();
            return Ok(Token::Symbol(symbol));
        }
        let here = self.at..self.at + first.len_utf8();
        let error = ExprError::new(
            "PHI301",
            here,
            format!(
                "syntax error in expression: `{}` has no meaning here",
                first.escape_debug()
            ),
        );
        Err(match first {
            '=' => error.help("`==` compares; nothing is assigned in an expression"),
            '&' => error.help("`&&` is the logical and"),
            '|' => error.help("`||` is the logical or"),
            '$' => error.help("no `${{ }}` inside an expression"),
            '\u{2018}'..='\u{201d}' => error.help("texts stand in straight quotes"),
            _ => error,
        })
    }

    fn number(&mut self) -> Result<Token<'a>, ExprError> {
        let start = self.at;
        let rest = self.rest();
        if let Some(hex) = rest.strip_prefix("0x").or_else(|| rest.strip_prefix("0X")) {
            let length = hex.bytes().take_while(u8::is_ascii_hexdigit).count();
            self.at += 2 + length;
            self.end_of_number(start)?;
            return match u64::from_str_radix(&hex[..length], 16) {
                Ok(magnitude) => Ok(Token::Int(magnitude)),
                Err(_) if length == 0 => Err(self.syntax(start, "`0x` without digits")),
                Err(_) => Err(self.too_large(start)),
            };
        }
        let mut length = digits(rest);
        let mut is_double = false;
        if let Some(fraction) = rest[length..].strip_prefix('.')
            && digits(fraction) > 0
        {
            is_double = true;
            length += 1 + digits(fraction);
        }
        if let Some(exponent) = rest[length..].strip_prefix(['e', 'E']) {
            let unsigned = exponent.strip_prefix(['+', '-']).unwrap_or(exponent);
            if digits(unsigned) > 0 {
                is_double = true;
                length += 1 + (exponent.len() - unsigned.len()) + digits(unsigned);
            }
        }
        self.at += length;
        self.end_of_number(start)?;
        let text = &rest[..length];
        if is_double {
            return match text.parse::<f64>() {
                Ok(value) if value.is_finite() => Ok(Token::Double(value)),
                _ => Err(self.too_large(start)),
            };
        }
        text.parse::<u64>()
            .map(Token::Int)
            .map_err(|_| self.too_large(start))
    }

    fn end_of_number(&mut self, start: usize) -> Result<(), ExprError> {
        let letters = name_length(self.rest());
        if letters == 0 {
            return Ok(());
        }
        let is_unsigned = matches!(self.rest().get(..letters), Some("u" | "U"));
        self.at += letters;
        Err(if is_unsigned {
            self.syntax(start, "there are no unsigned integers")
        } else {
            self.syntax(start, "a name cannot start with a digit")
        })
    }

    fn string(&mut self, raw: bool, prefix: usize) -> Result<Token<'a>, ExprError> {
        let start = self.at;
        self.at += prefix;
        if self.text[start..self.at].contains(['b', 'B']) {
            return Err(self.syntax(start, "there are no bytes, only strings"));
        }
        let rest = self.rest();
        let quote = ["\"\"\"", "'''", "\"", "'"]
            .into_iter()
            .find(|quote| rest.starts_with(quote))
            .unwrap_or("\"");
        self.at += quote.len();
        let mut text = String::new();
        loop {
            let rest = self.rest();
            if rest.starts_with(quote) {
                self.at += quote.len();
                return Ok(Token::Text(text));
            }
            let Some(next) = rest
                .chars()
                .next()
                .filter(|c| quote.len() == 3 || *c != '\n')
            else {
                return Err(self.syntax(start, "the text has no closing quote"));
            };
            if next == '\\' && !raw {
                text.push(self.escape()?);
            } else {
                text.push(next);
                self.at += next.len_utf8();
            }
        }
    }

    fn escape(&mut self) -> Result<char, ExprError> {
        let start = self.at;
        self.at += 1;
        let Some(letter) = self.rest().chars().next() else {
            return Err(self.syntax(start, "the text has no closing quote"));
        };
        self.at += letter.len_utf8();
        let code = match letter {
            'n' => return Ok('\n'),
            't' => return Ok('\t'),
            'r' => return Ok('\r'),
            'a' => return Ok('\x07'),
            'b' => return Ok('\x08'),
            'f' => return Ok('\x0c'),
            'v' => return Ok('\x0b'),
            '\\' | '\'' | '"' | '`' | '?' => return Ok(letter),
            'x' | 'X' => self.code_point(2, 16),
            'u' => self.code_point(4, 16),
            'U' => self.code_point(8, 16),
            '0'..='3' => {
                self.at -= 1;
                self.code_point(3, 8)
            }
            _ => None,
        };
        code.ok_or_else(|| {
            self.syntax(start, "unknown escape")
                .help("a backslash is written `\\\\`, or the text starts with `r`: r\"\\d+\"")
        })
    }

    fn code_point(&mut self, length: usize, radix: u32) -> Option<char> {
        let digits = self.rest().get(..length)?;
        if !digits.chars().all(|c| c.is_digit(radix)) {
            return None;
        }
        self.at += length;
        char::from_u32(u32::from_str_radix(digits, radix).ok()?)
    }

    fn syntax(&self, start: usize, reason: &str) -> ExprError {
        let message = format!("syntax error in expression: {reason}");
        ExprError::new("PHI301", start..self.at, message)
    }

    fn too_large(&self, start: usize) -> ExprError {
        out_of_range(start..self.at)
    }
}

/// PHI318, also for what the parser finds once it has seen the sign.
pub(super) fn out_of_range(range: Range<usize>) -> ExprError {
    ExprError::new("PHI318", range, "number out of 64-bit range")
        .help("integers go from -9223372036854775808 to 9223372036854775807")
}

/// Whether a string begins here: raw or not, and the length of the letters before the quote.
fn string_prefix(rest: &str) -> Option<(bool, usize)> {
    let letters = rest.bytes().take_while(u8::is_ascii_alphabetic).count();
    let raw = match &rest[..letters] {
        "" | "b" | "B" => false,
        "r" | "R" | "rb" | "br" | "Rb" | "rB" | "RB" | "bR" | "Br" | "BR" => true,
        _ => return None,
    };
    rest[letters..]
        .starts_with(['"', '\''])
        .then_some((raw, letters))
}

fn name_length(rest: &str) -> usize {
    rest.bytes()
        .take_while(|byte| byte.is_ascii_alphanumeric() || *byte == b'_')
        .count()
}

fn digits(text: &str) -> usize {
    text.bytes().take_while(u8::is_ascii_digit).count()
}
