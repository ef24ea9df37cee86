//! Tokens to a tree: a Pratt parser that also resolves functions, macros and their variables.
//!
//! A syntax error ends the parse. An unknown function does not: it leaves a hole, of which the checker
//! assumes nothing, so that one text can show several errors.

use std::ops::Range;

use super::ast::{Ast, BinaryOp, DEPTH_MAX, Kind, MacroOp, Node, NodeId, UnaryOp};
use super::function::{self, Style};
use super::lexer::{self, Spanned, Token};
use super::{ExprError, Value};

/// Longest expression, in bytes.
const TEXT_BYTES_MAX: usize = 4096;

/// Words that CEL keeps for itself.
const RESERVED: [&str; 16] = [
    "as",
    "break",
    "const",
    "continue",
    "else",
    "for",
    "function",
    "if",
    "import",
    "let",
    "loop",
    "namespace",
    "package",
    "return",
    "var",
    "while",
];

/// The result of a parse; without errors there are no holes.
pub(super) struct Parsed {
    pub(super) ast: Ast,
    pub(super) errors: Vec<ExprError>,
    pub(super) holes: Vec<NodeId>,
}

pub(super) fn parse(text: &str) -> Result<Parsed, ExprError> {
    if text.len() > TEXT_BYTES_MAX {
        let message = format!("syntax error in expression: longer than {TEXT_BYTES_MAX} bytes");
        return Err(ExprError::new("PHI301", 0..text.len(), message));
    }
    let mut parser = Parser {
        text,
        tokens: lexer::tokens(text)?,
        at: 0,
        nodes: Vec::new(),
        locals: Vec::new(),
        errors: Vec::new(),
        holes: Vec::new(),
    };
    let root = parser.expression(0)?;
    if parser.peek() != &Token::End {
        return Err(parser.unexpected("an operator or the end"));
    }
    Ok(Parsed {
        ast: Ast::new(parser.nodes, root),
        errors: parser.errors,
        holes: parser.holes,
    })
}

struct Parser<'a> {
    text: &'a str,
    tokens: Vec<Spanned<'a>>,
    at: usize,
    nodes: Vec<Node>,
    /// Variables of the macros around this place, the outermost first.
    locals: Vec<&'a str>,
    errors: Vec<ExprError>,
    holes: Vec<NodeId>,
}

type Parse<T> = Result<T, ExprError>;

impl<'a> Parser<'a> {
    fn peek(&self) -> &Token<'a> {
        &self.tokens[self.at].token
    }

    fn range(&self) -> Range<usize> {
        self.tokens[self.at].range.clone()
    }

    /// Steps over the present token; never over the end.
    fn advance(&mut self) -> Spanned<'a> {
        let token = self.tokens[self.at].clone();
        if token.token != Token::End {
            self.at += 1;
        }
        token
    }

    fn eat(&mut self, symbol: &str) -> bool {
        let found = matches!(self.peek(), Token::Symbol(found) if *found == symbol);
        if found {
            self.at += 1;
        }
        found
    }

    fn expect(&mut self, symbol: &str) -> Parse<Range<usize>> {
        let range = self.range();
        if self.eat(symbol) {
            Ok(range)
        } else {
            Err(self.unexpected(&format!("`{symbol}`")))
        }
    }

    fn add(&mut self, kind: Kind, range: Range<usize>) -> NodeId {
        self.nodes.push(Node { kind, range });
        NodeId::new(self.nodes.len() - 1)
    }

    fn range_of(&self, id: NodeId) -> Range<usize> {
        self.nodes[id.index()].range.clone()
    }

    fn check_depth(&self, depth: usize) -> Parse<()> {
        if depth < DEPTH_MAX {
            return Ok(());
        }
        Err(syntax(
            self.range(),
            format!("nested deeper than {DEPTH_MAX} levels"),
        ))
    }

    fn expression(&mut self, depth: usize) -> Parse<NodeId> {
        self.check_depth(depth)?;
        let condition = self.binary(1, depth)?;
        if !self.eat("?") {
            return Ok(condition);
        }
        let then = self.expression(depth + 1)?;
        self.expect(":")?;
        let otherwise = self.expression(depth + 1)?;
        let range = self.range_of(condition).start..self.range_of(otherwise).end;
        Ok(self.add(
            Kind::Conditional {
                condition,
                then,
                otherwise,
            },
            range,
        ))
    }

    fn binary(&mut self, weakest: u8, depth: usize) -> Parse<NodeId> {
        self.check_depth(depth)?;
        let mut left = self.unary(depth)?;
        loop {
            let op = match self.peek() {
                Token::Symbol(symbol) => BinaryOp::from_symbol(symbol),
                Token::Name("in") => Some(BinaryOp::In),
                _ => None,
            };
            let Some(op) = op.filter(|op| op.precedence() >= weakest) else {
                return Ok(left);
            };
            let op_range = self.advance().range;
            let right = self.binary(op.precedence() + 1, depth + 1)?;
            let range = self.range_of(left).start..self.range_of(right).end;
            left = self.add(
                Kind::Binary {
                    op,
                    op_range,
                    left,
                    right,
                },
                range,
            );
        }
    }

    fn unary(&mut self, depth: usize) -> Parse<NodeId> {
        self.check_depth(depth)?;
        let start = self.range().start;
        let op = if self.eat("!") {
            UnaryOp::Not
        } else if self.eat("-") {
            if matches!(self.peek(), Token::Int(_) | Token::Double(_)) {
                return self.postfix(Some(start), depth);
            }
            UnaryOp::Negate
        } else {
            return self.postfix(None, depth);
        };
        let operand = self.unary(depth + 1)?;
        let range = start..self.range_of(operand).end;
        Ok(self.add(Kind::Unary { op, operand }, range))
    }

    fn postfix(&mut self, minus: Option<usize>, depth: usize) -> Parse<NodeId> {
        let mut operand = self.primary(minus, depth)?;
        loop {
            let start = self.range_of(operand).start;
            if self.eat(".") {
                let optional = self.eat("?");
                let Token::Name(name) = *self.peek() else {
                    return Err(self.unexpected("a field's name"));
                };
                let range = self.advance().range;
                if !optional && self.peek() == &Token::Symbol("(") {
                    operand = self.method(operand, name, range, depth)?;
                } else {
                    let kind = Kind::Select {
                        operand,
                        field: name.into(),
                        optional,
                    };
                    operand = self.add(kind, start..range.end);
                }
            } else if self.eat("[") {
                let optional = self.eat("?");
                let index = self.expression(depth + 1)?;
                let end = self.expect("]")?.end;
                operand = self.add(
                    Kind::Index {
                        operand,
                        index,
                        optional,
                    },
                    start..end,
                );
            } else {
                return Ok(operand);
            }
        }
    }

    fn primary(&mut self, minus: Option<usize>, depth: usize) -> Parse<NodeId> {
        let range = self.range();
        let whole = minus.unwrap_or(range.start)..range.end;
        match self.peek().clone() {
            Token::Int(magnitude) => {
                self.at += 1;
                let value = match minus {
                    Some(_) => 0_i64.checked_sub_unsigned(magnitude),
                    None => i64::try_from(magnitude).ok(),
                };
                let value = value.ok_or_else(|| lexer::out_of_range(whole.clone()))?;
                Ok(self.add(Kind::Literal(Value::Int(value)), whole))
            }
            Token::Double(magnitude) => {
                self.at += 1;
                let value = if minus.is_some() {
                    -magnitude
                } else {
                    magnitude
                };
                Ok(self.add(Kind::Literal(Value::Double(value)), whole))
            }
            Token::Text(text) => {
                self.at += 1;
                Ok(self.add(Kind::Literal(Value::string(text)), range))
            }
            Token::Name(name) => {
                self.at += 1;
                self.name(name, range, depth)
            }
            Token::Symbol("(") => {
                self.at += 1;
                let inner = self.expression(depth + 1)?;
                self.expect(")")?;
                Ok(inner)
            }
            Token::Symbol("[") => {
                self.at += 1;
                let (items, end) = self.list("]", depth)?;
                Ok(self.add(Kind::List(items), range.start..end))
            }
            Token::Symbol("{") => {
                self.at += 1;
                self.map(range.start, depth)
            }
            Token::Symbol(_) | Token::End => Err(self.unexpected("a value")),
        }
    }

    fn name(&mut self, name: &'a str, range: Range<usize>, depth: usize) -> Parse<NodeId> {
        let literal = match name {
            "true" => Some(Value::Bool(true)),
            "false" => Some(Value::Bool(false)),
            "null" => Some(Value::Null),
            _ => None,
        };
        if let Some(value) = literal {
            return Ok(self.add(Kind::Literal(value), range));
        }
        if RESERVED.contains(&name) || name == "in" {
            return Err(syntax(range, format!("`{name}` is a reserved word")));
        }
        if self.peek() == &Token::Symbol("(") {
            return self.function(name, range, depth);
        }
        if let Some(slot) = self.locals.iter().rposition(|local| *local == name) {
            return Ok(self.add(Kind::Local(slot), range));
        }
        if name != "steps" {
            return Ok(self.add(Kind::Variable(name.into()), range));
        }
        if self.eat(".")
            && let Token::Name(id) = *self.peek()
        {
            let end = self.advance().range.end;
            return Ok(self.add(Kind::Step(id.into()), range.start..end));
        }
        Err(syntax(range, "`steps` stands before the name of a step")
            .help("as `steps.review.output`"))
    }

    fn function(&mut self, name: &'a str, range: Range<usize>, depth: usize) -> Parse<NodeId> {
        match name {
            "has" => {
                self.expect("(")?;
                let field = self.expression(depth + 1)?;
                let end = self.expect(")")?.end;
                match self.nodes[field.index()].kind {
                    Kind::Select {
                        optional: false, ..
                    }
                    | Kind::Index {
                        optional: false, ..
                    } => Ok(self.add(Kind::Has(field), range.start..end)),
                    _ => Err(syntax(
                        self.range_of(field),
                        "`has` takes a field, as `has(a.b)`",
                    )),
                }
            }
            "sortBy" => {
                self.expect("(")?;
                let over = self.expression(depth + 1)?;
                self.expect(",")?;
                self.macro_body(MacroOp::SortBy, name, over, range.start, depth)
            }
            _ => {
                self.expect("(")?;
                let (args, end) = self.list(")", depth)?;
                Ok(self.call(Style::Global, name, range.clone(), args, range.start..end))
            }
        }
    }

    fn method(
        &mut self,
        receiver: NodeId,
        name: &'a str,
        range: Range<usize>,
        depth: usize,
    ) -> Parse<NodeId> {
        self.expect("(")?;
        let start = self.range_of(receiver).start;
        if let Some((_, op)) = MacroOp::METHODS.iter().find(|(known, _)| *known == name) {
            return self.macro_body(*op, name, receiver, start, depth);
        }
        let (mut args, end) = self.list(")", depth)?;
        args.insert(0, receiver);
        Ok(self.call(Style::Method, name, range, args, start..end))
    }

    /// `x, body)` or `x, condition, body)`.
    fn macro_body(
        &mut self,
        op: MacroOp,
        name: &str,
        over: NodeId,
        start: usize,
        depth: usize,
    ) -> Parse<NodeId> {
        let Token::Name(local) = *self.peek() else {
            return Err(self.unexpected(&format!("a name for the items of `{name}`")));
        };
        let local_range = self.advance().range;
        if RESERVED.contains(&local) || ["true", "false", "null", "in"].contains(&local) {
            return Err(syntax(local_range, format!("`{local}` is a reserved word")));
        }
        self.expect(",")?;
        let slot = self.locals.len();
        self.locals.push(local);
        let first = self.expression(depth + 1)?;
        let (condition, body) = if op == MacroOp::Map && self.eat(",") {
            (Some(first), self.expression(depth + 1)?)
        } else {
            (None, first)
        };
        self.locals.pop();
        let end = self.expect(")")?.end;
        Ok(self.add(
            Kind::Macro {
                op,
                over,
                slot,
                condition,
                body,
            },
            start..end,
        ))
    }

    fn call(
        &mut self,
        style: Style,
        name: &str,
        name_range: Range<usize>,
        args: Vec<NodeId>,
        range: Range<usize>,
    ) -> NodeId {
        let given = args.len() - usize::from(style == Style::Method);
        let error = match function::find(name, style) {
            Some(known) if (known.min..=known.max).contains(&given) => {
                let function = known.function;
                return self.add(Kind::Call { function, args }, range);
            }
            Some(known) => {
                let wanted = match (known.min, known.max) {
                    (0, 0) => "no argument".to_owned(),
                    (1, 1) => "1 argument".to_owned(),
                    (min, max) if min == max => format!("{min} arguments"),
                    (min, max) => format!("{min} to {max} arguments"),
                };
                let message = format!("`{name}` takes {wanted}, {given} given");
                ExprError::new("PHI303", name_range, message)
            }
            None => function::unknown(style, name, name_range),
        };
        self.errors.push(error);
        let hole = self.add(Kind::Literal(Value::Null), range);
        self.holes.push(hole);
        hole
    }

    /// Expressions up to the closing bracket, and where that ends. A comma may stand last.
    fn list(&mut self, close: &'static str, depth: usize) -> Parse<(Vec<NodeId>, usize)> {
        let mut items = Vec::new();
        loop {
            let end = self.range().end;
            if self.eat(close) {
                return Ok((items, end));
            }
            items.push(self.expression(depth + 1)?);
            if !self.eat(",") && self.peek() != &Token::Symbol(close) {
                return Err(self.unexpected(&format!("`,` or `{close}`")));
            }
        }
    }

    fn map(&mut self, start: usize, depth: usize) -> Parse<NodeId> {
        let mut entries = Vec::new();
        loop {
            let end = self.range().end;
            if self.eat("}") {
                return Ok(self.add(Kind::Map(entries), start..end));
            }
            let key = self.expression(depth + 1)?;
            self.expect(":")?;
            let value = self.expression(depth + 1)?;
            entries.push((key, value));
            if !self.eat(",") && self.peek() != &Token::Symbol("}") {
                return Err(self.unexpected("`,` or `}`"));
            }
        }
    }

    fn unexpected(&self, wanted: &str) -> ExprError {
        let range = self.range();
        if self.peek() == &Token::End {
            let reason = if self.text.trim().is_empty() {
                "it is empty".to_owned()
            } else {
                format!("it ends where {wanted} should follow")
            };
            return syntax(range, reason);
        }
        let found = &self.text[range.clone()];
        let error = syntax(
            range,
            format!("found `{found}` where {wanted} should stand"),
        );
        let before = self.at.checked_sub(1).map(|at| &self.tokens[at].token);
        match found {
            _ if before == Some(&Token::Name("not")) => error.help("`!` is the logical not"),
            "and" => error.help("`&&` is the logical and"),
            "or" => error.help("`||` is the logical or"),
            "is" => error.help("`==` compares"),
            _ => error,
        }
    }
}

fn syntax(range: Range<usize>, reason: impl AsRef<str>) -> ExprError {
    let message = format!("syntax error in expression: {}", reason.as_ref());
    ExprError::new("PHI301", range, message)
}
