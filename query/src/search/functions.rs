//! The SQL functions of search: `matches(text, 'query')` and `search('query')`.
//!
//! `matches` is an ordinary function and the only one that reads text; a text that is NULL holds nothing, so
//! the answer is never NULL. `search` has no text to read: it stands for the compiled query until the rule
//! (see [`super::rule`]) puts that in its place, and fails if it is ever run.

use std::hash::{Hash, Hasher};
use std::sync::{Arc, LazyLock};

use datafusion::arrow::array::{
    Array, ArrayAccessor, ArrayRef, AsArray, BooleanArray, BooleanBufferBuilder, StringArray,
};
use datafusion::arrow::buffer::BooleanBuffer;
use datafusion::arrow::compute::take;
use datafusion::arrow::datatypes::{DataType, Field, FieldRef};
use datafusion::common::{Result, ScalarValue, exec_err, plan_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, ReturnFieldArgs, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::ast::TextQuery;
use super::error::SearchError;
use super::matcher::{Matcher, RegexBudget};
use super::parser::parse_within;
use super::sweep::Sweep;

/// The name of the function on a text.
pub const MATCHES: &str = "matches";
/// The name of the function on a table.
pub const SEARCH: &str = "search";

/// `matches(text, 'query')`, not compiled yet.
pub(super) fn matches_udf() -> Arc<ScalarUDF> {
    static UDF: LazyLock<Arc<ScalarUDF>> =
        LazyLock::new(|| Arc::new(MatchesFunction { compiled: None }.into()));
    Arc::clone(&UDF)
}

/// `matches(text, 'query')` with its query compiled, so that it is done once and not for every batch.
pub(super) fn compiled_matches_udf(
    query: &str,
    regexes: &mut RegexBudget,
) -> Result<Arc<ScalarUDF>, SearchError> {
    let compiled = Some(Arc::new(compile(query, regexes)?));
    Ok(Arc::new(MatchesFunction { compiled }.into()))
}

/// `search('query')`.
pub(super) fn search_udf() -> Arc<ScalarUDF> {
    Arc::new(SearchFunction { signature: text_signature() }.into())
}

fn compile(text: &str, regexes: &mut RegexBudget) -> Result<Compiled, SearchError> {
    let query = parse_within(text, regexes)?;
    Ok(Compiled { matcher: Matcher::compile(&query, text)?, query })
}

/// What a call of `matches(text, 'query')` looks for; `None` for other functions, and for one that was not compiled.
pub(crate) fn query_of(call: &ScalarFunction) -> Option<&TextQuery> {
    let function = call.func.inner().downcast_ref::<MatchesFunction>()?;
    function.compiled.as_ref().map(|compiled| &compiled.query)
}

fn text_signature() -> Signature {
    Signature::user_defined(Volatility::Immutable)
}

fn boolean_field(name: &str) -> FieldRef {
    Arc::new(Field::new(name, DataType::Boolean, false))
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

/// The type in which a query is taken.
fn query_type(function: &str, given: &DataType) -> Result<DataType> {
    if is_text(given) || given.is_null() {
        Ok(DataType::Utf8)
    } else {
        plan_err!("{function}() takes its query as text, not as {given}")
    }
}

#[derive(Debug)]
struct MatchesFunction {
    /// The query of the call, which is then a literal.
    compiled: Option<Arc<Compiled>>,
}

/// A query, parsed and ready to run.
#[derive(Debug)]
struct Compiled {
    query: TextQuery,
    matcher: Matcher,
}

/// What it answers depends on its arguments alone; compiled or not, it is the same function.
impl PartialEq for MatchesFunction {
    fn eq(&self, _: &Self) -> bool {
        true
    }
}

impl Eq for MatchesFunction {}

impl Hash for MatchesFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        MATCHES.hash(state);
    }
}

static SIGNATURE: LazyLock<Signature> = LazyLock::new(text_signature);

impl ScalarUDFImpl for MatchesFunction {
    fn name(&self) -> &str {
        MATCHES
    }

    fn signature(&self) -> &Signature {
        &SIGNATURE
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn return_field_from_args(&self, _: ReturnFieldArgs<'_>) -> Result<FieldRef> {
        Ok(boolean_field(MATCHES))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [text, query] = given else {
            return plan_err!(
                "matches() takes a column and a query, as in matches(message, 'timeout'), not {} arguments",
                given.len()
            );
        };
        let text = match text {
            text if is_text(text) => text.clone(),
            DataType::Dictionary(_, values) if is_text(values) => text.clone(),
            DataType::Null => DataType::Utf8,
            other => return plan_err!("matches() searches text, not {other}; cast it to VARCHAR first"),
        };
        Ok(vec![text, query_type(MATCHES, query)?])
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let [text, query] = args.args.as_slice() else {
            return exec_err!("matches() takes a column and a query");
        };
        let fresh;
        let matcher = match (&self.compiled, query) {
            (Some(compiled), _) => &compiled.matcher,
            (None, ColumnarValue::Scalar(ScalarValue::Utf8(Some(query)))) => {
                fresh = compile(query, &mut RegexBudget::default())?;
                &fresh.matcher
            }
            _ => {
                return plan_err!(
                    "the query of matches() has to be a literal, as in matches(message, 'timeout')"
                );
            }
        };
        match text {
            ColumnarValue::Array(texts) => Ok(ColumnarValue::Array(match_array(matcher, texts)?)),
            ColumnarValue::Scalar(text) => {
                let hit = matcher.is_match(text.try_as_str().flatten(), &mut String::new());
                Ok(ColumnarValue::Scalar(ScalarValue::Boolean(Some(hit))))
            }
        }
    }
}

fn match_array(matcher: &Matcher, texts: &ArrayRef) -> Result<ArrayRef> {
    match texts.data_type() {
        DataType::Utf8 => {
            let texts = texts.as_string::<i32>();
            Ok(sweep_texts(matcher, texts).unwrap_or_else(|| match_texts(matcher, &texts)))
        }
        DataType::LargeUtf8 => Ok(match_texts(matcher, &texts.as_string::<i64>())),
        DataType::Utf8View => Ok(match_texts(matcher, &texts.as_string_view())),
        DataType::Dictionary(..) => match_dictionary(matcher, texts),
        other => exec_err!("matches() searches text, not {other}"),
    }
}

fn match_texts<'a>(matcher: &Matcher, texts: &impl ArrayAccessor<Item = &'a str>) -> ArrayRef {
    let mut lent = String::new();
    let hits = BooleanBuffer::collect_bool(texts.len(), |row| {
        let text = if texts.is_null(row) { None } else { Some(texts.value(row)) };
        matcher.is_match(text, &mut lent)
    });
    Arc::new(BooleanArray::new(hits, None))
}

/// Asks only the texts that hold a needle which all that match hold; `None` where there is no such needle, or where
/// not all texts are ASCII.
fn sweep_texts(matcher: &Matcher, texts: &StringArray) -> Option<ArrayRef> {
    let sweep = Sweep::new(matcher.needle()?)?;
    let offsets = texts.value_offsets();
    let (first, last) = (*offsets.first()?, *offsets.last()?);
    let values = texts.value_data().get(usize::try_from(first).ok()?..usize::try_from(last).ok()?)?;
    if !values.is_ascii() {
        return None;
    }
    let mut hits = BooleanBufferBuilder::new(texts.len());
    hits.append_n(texts.len(), false);
    let (mut lent, mut row, mut at) = (String::new(), 0, 0);
    while let Some(found) = sweep.find(values, at) {
        let place = first.checked_add(i32::try_from(found).ok()?)?;
        // The row that the place lies in: the last one that begins at or before it.
        row += offsets.get(row + 1..)?.partition_point(|start| *start <= place);
        if row >= texts.len() {
            break;
        }
        let is_match = texts.is_valid(row) && matcher.is_match(Some(texts.value(row)), &mut lent);
        hits.set_bit(row, is_match);
        row += 1;
        at = usize::try_from(offsets.get(row)?.checked_sub(first)?).ok()?;
    }
    Some(Arc::new(BooleanArray::new(hits.finish(), None)))
}

/// Asks each distinct text once.
fn match_dictionary(matcher: &Matcher, texts: &ArrayRef) -> Result<ArrayRef> {
    let dictionary = texts.as_any_dictionary();
    let hits = match_array(matcher, dictionary.values())?;
    let spread = take(&hits, dictionary.keys(), None)?;
    // A missing key is a missing text.
    let without_text = matcher.is_match(None, &mut String::new());
    let spread = spread.as_boolean();
    let filled = spread.iter().map(|hit| Some(hit.unwrap_or(without_text)));
    Ok(Arc::new(filled.collect::<BooleanArray>()))
}

#[derive(Debug, PartialEq, Eq, Hash)]
struct SearchFunction {
    signature: Signature,
}

impl ScalarUDFImpl for SearchFunction {
    fn name(&self) -> &str {
        SEARCH
    }

    fn signature(&self) -> &Signature {
        &self.signature
    }

    fn return_type(&self, _: &[DataType]) -> Result<DataType> {
        Ok(DataType::Boolean)
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let [query] = given else {
            return plan_err!(
                "search() takes one query, as in search('timeout level:error'), not {} arguments; \
                 to search one column use matches(column, 'query')",
                given.len()
            );
        };
        Ok(vec![query_type(SEARCH, query)?])
    }

    fn invoke_with_args(&self, _: ScalarFunctionArgs) -> Result<ColumnarValue> {
        exec_err!("search() stands for a condition on a table of logs and cannot be run by itself")
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn text() -> impl Strategy<Value = Option<String>> {
        let pieces = vec!["timeout", "Time", "OUT", "read", " ", "-", "_", "x", "", "7", "10.0.0.1:80"];
        let ascii =
            prop::collection::vec(prop::sample::select(pieces), 0..8).prop_map(|pieces| pieces.concat());
        prop_oneof![8 => ascii.prop_map(Some), 1 => Just(None)]
    }

    proptest! {
        #[test]
        fn a_column_is_answered_like_its_texts(
            texts in prop::collection::vec(text(), 1..60),
            other in prop::option::of("[é\u{212a}k x]{1,3}"),
            skipped in 0..20usize,
            query in prop::sample::select(vec![
                "timeout", "read timeout", "\"time out\"", "*meou*", "tim*", "*out", "read -x", "-timeout",
                "timeout OR read", "10.0.0.1", "x", "->", "=\"Time\"", "k", "kx", "in(read, x7)",
            ]),
        ) {
            let texts: StringArray = texts.into_iter().chain(other.map(Some)).collect();
            let skipped = skipped.min(texts.len());
            let texts = texts.slice(skipped, texts.len() - skipped);
            let matcher = compile(query, &mut RegexBudget::default()).unwrap().matcher;
            let expected = match_texts(&matcher, &&texts);
            let found = match_array(&matcher, &(Arc::new(texts) as ArrayRef)).unwrap();
            prop_assert_eq!(found.as_boolean(), expected.as_boolean());
        }
    }
}
