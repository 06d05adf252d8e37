//! The filter of a scan as a tree whose leaves are conditions on the message, or on source, level and time.

use datafusion::logical_expr::expr::{InList, Like, ScalarFunction};
use datafusion::logical_expr::{BinaryExpr, Expr, Operator};
use ironbark_storage::column;

use super::answers::Answers;
use super::text::{AsciiRegex, Place};
use crate::clause::literal;
use crate::search::{self, TextQuery};
use crate::table::tally::{Steps, mentions};

/// What rows a filter lets through.
#[derive(Debug)]
pub(in crate::table) struct Condition {
    pub(super) root: Node,
    /// Conditions on the message.
    pub(super) texts: Vec<AsciiRegex>,
    /// Conditions on source, level and time, and where in time they change.
    pub(super) others: Vec<(Expr, Steps)>,
}

/// A node of the tree.
#[derive(Debug)]
pub(super) enum Node {
    /// The same for all rows.
    Fixed(Answers),
    /// Place in [`Condition::texts`].
    Text(usize),
    /// Place in [`Condition::others`].
    Other(usize),
    And(Vec<Node>),
    Or(Vec<Node>),
    Not(Box<Node>),
    IsTrue(Box<Node>),
}

impl Condition {
    /// Of filters in bare column names that must all hold. `None` if runs say nothing of them.
    pub(in crate::table) fn of(filters: &[Expr]) -> Option<Self> {
        let mut leaves = Leaves::default();
        let root = Node::And(filters.iter().map(|filter| leaves.node(filter)).collect());
        let Leaves { texts, others } = leaves;
        let is_of_runs =
            |(expr, _): &(Expr, Steps)| mentions(expr, column::SOURCE) || mentions(expr, column::LEVEL);
        let is_known = !texts.is_empty() || others.iter().any(is_of_runs);
        is_known.then_some(Self { root, texts, others })
    }
}

/// The leaves so far.
#[derive(Default)]
struct Leaves {
    texts: Vec<AsciiRegex>,
    others: Vec<(Expr, Steps)>,
}

/// The message, and whether it is lowered before it is compared.
struct Subject {
    lowered: bool,
}

impl Leaves {
    fn node(&mut self, expr: &Expr) -> Node {
        if !mentions(expr, column::MESSAGE) {
            return self.other(expr);
        }
        match expr {
            Expr::Alias(alias) => self.node(&alias.expr),
            Expr::Not(inner) => Node::not(self.node(inner)),
            Expr::IsTrue(inner) => Node::IsTrue(Box::new(self.node(inner))),
            Expr::IsNotTrue(inner) => Node::not(Node::IsTrue(Box::new(self.node(inner)))),
            Expr::IsNotNull(inner) if subject(inner).is_some() => Node::Fixed(Answers::TRUE),
            Expr::IsNull(inner) if subject(inner).is_some() => Node::Fixed(Answers::FALSE),
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::And, right }) => {
                Node::And(vec![self.node(left), self.node(right)])
            }
            Expr::BinaryExpr(BinaryExpr { left, op: Operator::Or, right }) => {
                Node::Or(vec![self.node(left), self.node(right)])
            }
            Expr::BinaryExpr(BinaryExpr { left, op, right }) => self.comparison(left, *op, right),
            Expr::InList(list) => self.in_list(list),
            Expr::Like(like) => self.like(like),
            Expr::ScalarFunction(call) => self.call(call),
            _ => Node::UNKNOWN,
        }
    }

    fn other(&mut self, expr: &Expr) -> Node {
        let Some(steps) = Steps::of(std::slice::from_ref(expr)) else { return Node::UNKNOWN };
        self.others.push((expr.clone(), steps));
        Node::Other(self.others.len() - 1)
    }

    fn text(&mut self, regex: Option<AsciiRegex>) -> Node {
        let Some(regex) = regex else { return Node::UNKNOWN };
        self.texts.push(regex);
        Node::Text(self.texts.len() - 1)
    }

    fn comparison(&mut self, left: &Expr, op: Operator, right: &Expr) -> Node {
        let sides = match (subject(left), subject(right)) {
            (Some(subject), None) => literal(right).map(|literal| (subject, literal)),
            (None, Some(subject)) if matches!(op, Operator::Eq | Operator::NotEq) => {
                literal(left).map(|literal| (subject, literal))
            }
            _ => None,
        };
        let Some((subject, literal)) = sides else { return Node::UNKNOWN };
        let given = |ignore_case| (!subject.lowered).then(|| AsciiRegex::given(literal, ignore_case));
        match op {
            Operator::Eq => self.text(subject.compared(literal, Place::Whole)),
            Operator::NotEq => Node::not(self.text(subject.compared(literal, Place::Whole))),
            Operator::RegexMatch => self.text(given(false)),
            Operator::RegexIMatch => self.text(given(true)),
            Operator::RegexNotMatch => Node::not(self.text(given(false))),
            Operator::RegexNotIMatch => Node::not(self.text(given(true))),
            _ => Node::UNKNOWN,
        }
    }

    fn in_list(&mut self, list: &InList) -> Node {
        let Some(subject) = subject(&list.expr) else { return Node::UNKNOWN };
        let mut item = |item: &Expr| match literal(item) {
            Some(literal) => self.text(subject.compared(literal, Place::Whole)),
            None => Node::UNKNOWN,
        };
        let any = Node::Or(list.list.iter().map(&mut item).collect());
        if list.negated { Node::not(any) } else { any }
    }

    fn like(&mut self, like: &Like) -> Node {
        let pattern = literal(&like.pattern).filter(|_| like.escape_char.is_none_or(|c| c == '\\'));
        let (Some(subject), Some(pattern)) = (subject(&like.expr), pattern) else { return Node::UNKNOWN };
        let node = match subject.case_of(pattern) {
            Some(ignore_case) => self.text(AsciiRegex::like(pattern, ignore_case || like.case_insensitive)),
            None => Node::UNKNOWN,
        };
        if like.negated { Node::not(node) } else { node }
    }

    fn call(&mut self, call: &ScalarFunction) -> Node {
        let Some(subject) = call.args.first().and_then(subject) else { return Node::UNKNOWN };
        if let Some(query) = search::query_of(call) {
            return if subject.lowered { Node::UNKNOWN } else { self.search(query) };
        }
        let literals: Option<Vec<&str>> = call.args.iter().skip(1).map(literal).collect();
        match (call.name(), literals.as_deref()) {
            ("contains", Some([held])) => self.text(subject.compared(held, Place::Anywhere)),
            ("starts_with", Some([start])) => self.text(subject.compared(start, Place::Start)),
            ("ends_with", Some([end])) => self.text(subject.compared(end, Place::End)),
            ("regexp_like", Some([regex])) if !subject.lowered => {
                self.text(Some(AsciiRegex::given(regex, false)))
            }
            _ => Node::UNKNOWN,
        }
    }

    fn search(&mut self, query: &TextQuery) -> Node {
        let mut all = |operands: &[TextQuery]| operands.iter().map(|operand| self.search(operand)).collect();
        match query {
            TextQuery::Everything => Node::Fixed(Answers::TRUE),
            TextQuery::And(operands) => Node::And(all(operands)),
            TextQuery::Or(operands) => Node::Or(all(operands)),
            TextQuery::Not(operand) => Node::not(self.search(operand)),
            TextQuery::Term(term) if term.field.is_none() => match AsciiRegex::of_search(&term.value) {
                Some(regexes) => Node::Or(regexes.into_iter().map(|regex| self.text(Some(regex))).collect()),
                None => Node::UNKNOWN,
            },
            TextQuery::Term(_) => Node::UNKNOWN,
        }
    }
}

impl Node {
    /// Of which nothing is known.
    const UNKNOWN: Self = Self::Fixed(Answers::ANY);

    fn not(node: Self) -> Self {
        Self::Not(Box::new(node))
    }
}

impl Subject {
    /// Whether case is ignored in a comparison with this literal; `None` if it is compared in another way.
    fn case_of(&self, literal: &str) -> Option<bool> {
        let can_equal = !self.lowered || !literal.bytes().any(|byte| byte.is_ascii_uppercase());
        can_equal.then_some(self.lowered)
    }

    fn compared(&self, literal: &str, place: Place) -> Option<AsciiRegex> {
        AsciiRegex::holds(literal, place, self.case_of(literal)?)
    }
}

fn subject(expr: &Expr) -> Option<Subject> {
    let is_message = |expr: &Expr| matches!(expr, Expr::Column(column) if column.name == column::MESSAGE);
    match expr {
        Expr::ScalarFunction(call) if call.name() == "lower" => match call.args.as_slice() {
            [inner] if is_message(inner) => Some(Subject { lowered: true }),
            _ => None,
        },
        expr => is_message(expr).then_some(Subject { lowered: false }),
    }
}
