//! The one shape of all functions of a text: `f(text, 'literal' …)`.
//!
//! ```text
//!   f(message, 'literal')  ─► rule: literals ─► Kernel, once for a query ─► runs on each batch
//! ```
//!
//! What a function is, is a [`Spec`]; what it does to texts is the [`Kernel`] that its literals are compiled to. A
//! dictionary is asked for each of its values once. NULL gives NULL.

use std::fmt::Debug;
use std::hash::{Hash, Hasher};
use std::ops::RangeInclusive;
use std::sync::{Arc, LazyLock};

use arrow::array::{ArrayRef, AsArray};
use arrow::compute::take;
use arrow::datatypes::DataType;
use datafusion::common::{Result, ScalarValue, exec_err};
use datafusion::logical_expr::expr::ScalarFunction;
use datafusion::logical_expr::{
    ColumnarValue, Expr, ScalarFunctionArgs, ScalarUDF, ScalarUDFImpl, Signature, Volatility,
};

use super::grok::Groks;
use super::mistake::Mistake;
use super::texts::Texts;

/// What a call does to a column of texts.
pub(super) trait Kernel: Debug + Send + Sync {
    /// As many values as there are texts, of the type that the function's [`Spec`] says.
    fn run(&self, texts: Texts<'_>) -> Result<ArrayRef>;
}

/// Makes of a call's literals what runs.
pub(super) type Compile = fn(&[&str], &mut Groks) -> Result<Arc<dyn Kernel>, Mistake>;

/// A function.
#[derive(Debug)]
pub(super) struct Spec {
    pub(super) name: &'static str,
    /// A call, for messages.
    pub(super) example: &'static str,
    /// How many literals may stand behind the text.
    pub(super) literals: RangeInclusive<usize>,
    /// What the literals are called, in order.
    pub(super) called: &'static [&'static str],
    /// The type of the answer, given how many literals there are.
    pub(super) answer: fn(usize) -> DataType,
    /// Makes of the literals what runs.
    pub(super) compile: Compile,
}

/// A function whose literals are compiled, or not yet.
#[derive(Debug)]
pub(super) struct LogFunction {
    spec: &'static Spec,
    kernel: Option<Arc<dyn Kernel>>,
}

/// What it answers depends on its arguments alone; compiled or not, it is the same function.
impl PartialEq for LogFunction {
    fn eq(&self, other: &Self) -> bool {
        self.spec.name == other.spec.name
    }
}

impl Eq for LogFunction {}

impl Hash for LogFunction {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.spec.name.hash(state);
    }
}

/// The function, for sessions.
pub(super) fn function(spec: &'static Spec) -> Arc<ScalarUDF> {
    Arc::new(LogFunction { spec, kernel: None }.into())
}

/// The call with its literals compiled; `None` if it is none of ours, or compiled already.
pub(super) fn compiled(call: &ScalarFunction, groks: &mut Groks) -> Result<Option<ScalarFunction>, Mistake> {
    let Some(LogFunction { spec, kernel: None }) = call.func.inner().downcast_ref::<LogFunction>() else {
        return Ok(None);
    };
    let given = call.args.len();
    let Some((_, literals)) = call.args.split_first() else {
        return Err(Mistake::Arguments { function: spec.name, given, example: spec.example });
    };
    let literals = literals.iter().map(|literal| match literal {
        Expr::Literal(value, _) => value.try_as_str().flatten(),
        _ => None,
    });
    let kernel = spec.kernel(literals, groks)?;
    let func = Arc::new(LogFunction { spec, kernel: Some(kernel) }.into());
    Ok(Some(ScalarFunction { func, args: call.args.clone() }))
}

impl Spec {
    fn kernel<'a>(
        &self,
        literals: impl Iterator<Item = Option<&'a str>>,
        groks: &mut Groks,
    ) -> Result<Arc<dyn Kernel>, Mistake> {
        let mut texts = Vec::new();
        for (literal, what) in literals.zip(self.called) {
            let (function, example) = (self.name, self.example);
            texts.push(literal.ok_or(Mistake::NoLiteral { function, what, example })?);
        }
        (self.compile)(&texts, groks)
    }
}

fn is_text(data_type: &DataType) -> bool {
    matches!(data_type, DataType::Utf8 | DataType::LargeUtf8 | DataType::Utf8View)
}

impl ScalarUDFImpl for LogFunction {
    fn name(&self) -> &str {
        self.spec.name
    }

    fn signature(&self) -> &Signature {
        static SIGNATURE: LazyLock<Signature> =
            LazyLock::new(|| Signature::user_defined(Volatility::Immutable));
        &SIGNATURE
    }

    fn return_type(&self, given: &[DataType]) -> Result<DataType> {
        Ok((self.spec.answer)(given.len().saturating_sub(1)))
    }

    fn coerce_types(&self, given: &[DataType]) -> Result<Vec<DataType>> {
        let Spec { name: function, example, .. } = *self.spec;
        let (text, literals) = match given.split_first() {
            Some((text, literals)) if self.spec.literals.contains(&literals.len()) => (text, literals),
            _ => return Err(Mistake::Arguments { function, given: given.len(), example }.into()),
        };
        let mut taken = vec![match text {
            text if is_text(text) => text.clone(),
            DataType::Dictionary(_, values) if is_text(values) => text.clone(),
            DataType::Null => DataType::Utf8,
            other => return Err(Mistake::NoText { function, given: other.clone() }.into()),
        }];
        for (literal, what) in literals.iter().zip(self.spec.called) {
            if !is_text(literal) && !literal.is_null() {
                return Err(Mistake::NoLiteral { function, what, example }.into());
            }
            taken.push(DataType::Utf8);
        }
        Ok(taken)
    }

    fn invoke_with_args(&self, args: ScalarFunctionArgs) -> Result<ColumnarValue> {
        let Some((text, literals)) = args.args.split_first() else {
            return exec_err!("{}() without arguments", self.spec.name);
        };
        let fresh;
        let kernel = if let Some(kernel) = &self.kernel {
            kernel
        } else {
            let literals = literals.iter().map(|literal| match literal {
                ColumnarValue::Scalar(value) => value.try_as_str().flatten(),
                ColumnarValue::Array(_) => None,
            });
            fresh = self.spec.kernel(literals, &mut Groks::default())?;
            &fresh
        };
        match text {
            ColumnarValue::Array(texts) => Ok(ColumnarValue::Array(run(kernel.as_ref(), texts)?)),
            ColumnarValue::Scalar(text) => {
                let answer = run(kernel.as_ref(), &text.to_array()?)?;
                Ok(ColumnarValue::Scalar(ScalarValue::try_from_array(&answer, 0)?))
            }
        }
    }
}

fn run(kernel: &dyn Kernel, texts: &ArrayRef) -> Result<ArrayRef> {
    if let Some(dictionary) = texts.as_any_dictionary_opt() {
        let answers = run(kernel, dictionary.values())?;
        return Ok(take(&answers, dictionary.keys(), None)?);
    }
    let Some(texts) = Texts::of(texts) else {
        return exec_err!("a function of text was given {}", texts.data_type());
    };
    kernel.run(texts)
}
