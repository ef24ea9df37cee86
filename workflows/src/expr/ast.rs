//! The tree of an expression: nodes in one vector, names of functions and locals resolved.
//!
//! Chains that lean to the left (`a + b + c`, `a.b.c`) may be as long as the text allows; code
//! that walks the tree follows [`Ast::spine`] in a loop and recurses only into the other
//! children, which nest at most [`DEPTH_MAX`] deep. That is why no expression can overflow the stack, and
//! dropping a tree recurses nowhere.

use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use regex::Regex;

use super::Value;
use super::function::Function;

/// How deep nodes may nest, left-leaning chains counted once.
pub(super) const DEPTH_MAX: usize = 32;

/// The place of a node in its tree.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct NodeId(u32);

#[derive(Debug)]
pub(super) struct Node {
    pub(super) kind: Kind,
    /// Bytes of the expression's text.
    pub(super) range: Range<usize>,
}

#[derive(Debug)]
pub(super) enum Kind {
    Literal(Value),
    Variable(Arc<str>),
    /// A macro's variable; slots count from the outermost macro.
    Local(usize),
    /// `steps.ID`.
    Step(Arc<str>),
    Select {
        operand: NodeId,
        field: Arc<str>,
        optional: bool,
    },
    Index {
        operand: NodeId,
        index: NodeId,
        optional: bool,
    },
    Unary {
        op: UnaryOp,
        operand: NodeId,
    },
    Binary {
        op: BinaryOp,
        op_range: Range<usize>,
        left: NodeId,
        right: NodeId,
    },
    Conditional {
        condition: NodeId,
        then: NodeId,
        otherwise: NodeId,
    },
    List(Vec<NodeId>),
    Map(Vec<(NodeId, NodeId)>),
    /// `has(a.b)`; the node is a selection or an index.
    Has(NodeId),
    /// Methods have their receiver as the first argument. The number of arguments was checked.
    Call {
        function: Function,
        args: Vec<NodeId>,
    },
    Macro {
        op: MacroOp,
        over: NodeId,
        slot: usize,
        /// The second argument of `map` with three.
        condition: Option<NodeId>,
        body: NodeId,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum UnaryOp {
    Not,
    Negate,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum BinaryOp {
    Or,
    And,
    Equal,
    NotEqual,
    Less,
    LessEqual,
    Greater,
    GreaterEqual,
    In,
    Add,
    Subtract,
    Multiply,
    Divide,
    Remainder,
}

impl BinaryOp {
    /// The operator as written; the inverse of [`BinaryOp::from_symbol`].
    pub(super) fn symbol(self) -> &'static str {
        match self {
            Self::Or => "||",
            Self::And => "&&",
            Self::Equal => "==",
            Self::NotEqual => "!=",
            Self::Less => "<",
            Self::LessEqual => "<=",
            Self::Greater => ">",
            Self::GreaterEqual => ">=",
            Self::In => "in",
            Self::Add => "+",
            Self::Subtract => "-",
            Self::Multiply => "*",
            Self::Divide => "/",
            Self::Remainder => "%",
        }
    }

    pub(super) fn from_symbol(symbol: &str) -> Option<Self> {
        Some(match symbol {
            "||" => Self::Or,
            "&&" => Self::And,
            "==" => Self::Equal,
            "!=" => Self::NotEqual,
            "<" => Self::Less,
            "<=" => Self::LessEqual,
            ">" => Self::Greater,
            ">=" => Self::GreaterEqual,
            "in" => Self::In,
            "+" => Self::Add,
            "-" => Self::Subtract,
            "*" => Self::Multiply,
            "/" => Self::Divide,
            "%" => Self::Remainder,
            _ => return None,
        })
    }

    /// Higher binds tighter.
    pub(super) fn precedence(self) -> u8 {
        match self {
            Self::Or => 1,
            Self::And => 2,
            Self::Equal
            | Self::NotEqual
            | Self::Less
            | Self::LessEqual
            | Self::Greater
            | Self::GreaterEqual
            | Self::In => 3,
            Self::Add | Self::Subtract => 4,
            Self::Multiply | Self::Divide | Self::Remainder => 5,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum MacroOp {
    All,
    Exists,
    ExistsOne,
    Map,
    Filter,
    SortBy,
}

impl MacroOp {
    /// The macros that are written like methods.
    pub(super) const METHODS: [(&'static str, Self); 5] = [
        ("all", Self::All),
        ("exists", Self::Exists),
        ("exists_one", Self::ExistsOne),
        ("map", Self::Map),
        ("filter", Self::Filter),
    ];
}

/// What a value becomes because its static type says what its JSON means.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Coercion {
    /// An int where the schema says `number`.
    Double,
    /// Text where the schema says `timestamp`.
    Timestamp,
    /// Text where the schema says `duration`.
    Duration,
}

#[derive(Debug)]
pub(super) struct Ast {
    nodes: Vec<Node>,
    root: NodeId,
    /// Filled in by the checker, one per node.
    pub(super) coercions: Vec<Option<Coercion>>,
    /// Literal patterns, compiled once by the checker; the key is the literal's node.
    pub(super) patterns: BTreeMap<NodeId, Regex>,
}

impl Ast {
    pub(super) fn new(nodes: Vec<Node>, root: NodeId) -> Self {
        let coercions = vec![None; nodes.len()];
        Self {
            nodes,
            root,
            coercions,
            patterns: BTreeMap::new(),
        }
    }

    pub(super) fn root(&self) -> NodeId {
        self.root
    }

    pub(super) fn node(&self, id: NodeId) -> &Node {
        &self.nodes[id.index()]
    }

    pub(super) fn kind(&self, id: NodeId) -> &Kind {
        &self.node(id).kind
    }

    pub(super) fn range(&self, id: NodeId) -> Range<usize> {
        self.node(id).range.clone()
    }

    pub(super) fn nodes(&self) -> impl Iterator<Item = (NodeId, &Node)> {
        (0..).map(NodeId).zip(&self.nodes)
    }

    /// The child that is evaluated first and always, if there is one.
    fn leading(&self, id: NodeId) -> Option<NodeId> {
        match self.kind(id) {
            Kind::Select { operand, .. }
            | Kind::Index { operand, .. }
            | Kind::Unary { operand, .. } => Some(*operand),
            Kind::Binary { left, .. } => Some(*left),
            Kind::Conditional { condition, .. } => Some(*condition),
            Kind::Call { function, args, .. } if *function != Function::Coalesce => {
                args.first().copied()
            }
            Kind::Macro { over, .. } => Some(*over),
            Kind::Call { .. }
            | Kind::Literal(_)
            | Kind::Variable(_)
            | Kind::Local(_)
            | Kind::Step(_)
            | Kind::List(_)
            | Kind::Map(_)
            | Kind::Has(_) => None,
        }
    }

    /// The node below `id` to begin with, and the nodes to finish after it, in reverse order.
    pub(super) fn spine(&self, id: NodeId) -> (NodeId, Vec<NodeId>) {
        let mut rest = Vec::new();
        let mut first = id;
        while let Some(next) = self.leading(first) {
            rest.push(first);
            first = next;
        }
        (first, rest)
    }

    /// The names that lead to a node: `steps.x.output.f`, or `None` if it is no chain of
    /// selections.
    pub(super) fn path(&self, id: NodeId) -> Option<String> {
        let mut fields: Vec<&str> = Vec::new();
        let mut at = id;
        let mut path = loop {
            match self.kind(at) {
                Kind::Select { operand, field, .. } => {
                    fields.push(field);
                    at = *operand;
                }
                Kind::Variable(name) => break name.to_string(),
                Kind::Step(step) => break format!("steps.{step}"),
                // No name of a variable holds a `#`.
                Kind::Local(slot) => break format!("#{slot}"),
                _ => return None,
            }
        };
        for field in fields.iter().rev() {
            path.push('.');
            path.push_str(field);
        }
        Some(path)
    }
}

impl NodeId {
    pub(super) fn new(index: usize) -> Self {
        Self(u32::try_from(index).expect("a text of 4 KiB has fewer than 2^32 nodes"))
    }

    pub(super) fn index(self) -> usize {
        self.0 as usize
    }
}
