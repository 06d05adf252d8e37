//! What this server can do, under every code that Flight SQL knows.
//!
//! No code is left out: drivers ask for all of them once, and some fail on a gap.

use std::collections::BTreeMap;

use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{SqlInfoData, SqlInfoDataBuilder};
use arrow_flight::sql::{
    SqlInfo, SqlNullOrdering, SqlOuterJoinsSupportLevel, SqlSupportedCaseSensitivity,
    SqlSupportedTransaction, SqlTransactionIsolationLevel,
};
use ironbark_query::SQL_BYTES_MAX;
use ironbark_storage::NAME_BYTES_MAX;

use super::prepared::{IDLE_MAX, STATEMENTS_MAX};
use crate::version::Version;

/// Words beyond SQL:2003's own that mean something in a statement.
const KEYWORDS: &[&str] =
    &["ANTI", "ASOF", "DESCRIBE", "EXPLAIN", "ILIKE", "LIMIT", "OFFSET", "QUALIFY", "SEMI", "SHOW"];

const NUMERIC_FUNCTIONS: &[&str] = &[
    "abs",
    "acos",
    "asin",
    "atan",
    "atan2",
    "cbrt",
    "ceil",
    "cos",
    "cosh",
    "cot",
    "degrees",
    "exp",
    "factorial",
    "floor",
    "gcd",
    "isnan",
    "iszero",
    "lcm",
    "ln",
    "log",
    "log10",
    "log2",
    "nanvl",
    "pi",
    "power",
    "radians",
    "round",
    "signum",
    "sin",
    "sinh",
    "sqrt",
    "tan",
    "tanh",
    "trunc",
];

const STRING_FUNCTIONS: &[&str] = &[
    "ascii",
    "bit_length",
    "btrim",
    "character_length",
    "chr",
    "concat",
    "concat_ws",
    "contains",
    "ends_with",
    "find_in_set",
    "initcap",
    "left",
    "length",
    "levenshtein",
    "lower",
    "lpad",
    "ltrim",
    "octet_length",
    "overlay",
    "position",
    "regexp_count",
    "regexp_like",
    "regexp_match",
    "regexp_replace",
    "repeat",
    "replace",
    "reverse",
    "right",
    "rpad",
    "rtrim",
    "split_part",
    "starts_with",
    "strpos",
    "substr",
    "substr_index",
    "to_hex",
    "translate",
    "trim",
    "upper",
];

const SYSTEM_FUNCTIONS: &[&str] =
    &["arrow_cast", "arrow_typeof", "coalesce", "greatest", "least", "nullif", "nvl"];

const DATETIME_FUNCTIONS: &[&str] = &[
    "current_date",
    "current_time",
    "date_bin",
    "date_part",
    "date_trunc",
    "from_unixtime",
    "make_date",
    "now",
    "to_char",
    "to_date",
    "to_local_time",
    "to_timestamp",
    "to_timestamp_micros",
    "to_timestamp_millis",
    "to_timestamp_nanos",
    "to_timestamp_seconds",
    "to_unixtime",
];

/// No such limit, or none known.
const UNLIMITED: i64 = 0;

/// Everything that this server says of itself.
pub(super) fn infos() -> Result<SqlInfoData> {
    let mut builder = SqlInfoDataBuilder::new();
    server(&mut builder);
    names(&mut builder);
    grammar(&mut builder);
    limits(&mut builder);
    transactions(&mut builder);
    results(&mut builder);
    builder.build()
}

fn server(b: &mut SqlInfoDataBuilder) {
    b.append(SqlInfo::FlightSqlServerName, "Ironbark");
    b.append(SqlInfo::FlightSqlServerVersion, Version::current().version);
    // The version of the Arrow format, not of a library.
    b.append(SqlInfo::FlightSqlServerArrowVersion, "1.5");
    b.append(SqlInfo::FlightSqlServerReadOnly, false);
    b.append(SqlInfo::FlightSqlServerSql, true);
    b.append(SqlInfo::FlightSqlServerSubstrait, false);
    b.append(SqlInfo::FlightSqlServerSubstraitMinVersion, "");
    b.append(SqlInfo::FlightSqlServerSubstraitMaxVersion, "");
    b.append(SqlInfo::FlightSqlServerTransaction, SqlSupportedTransaction::None as i32);
    b.append(SqlInfo::FlightSqlServerCancel, true);
    b.append(SqlInfo::FlightSqlServerBulkIngestion, true);
    b.append(SqlInfo::FlightSqlServerIngestTransactionsSupported, false);
    let idle_ms = i32::try_from(IDLE_MAX.as_millis()).unwrap_or(i32::MAX);
    b.append(SqlInfo::FlightSqlServerStatementTimeout, idle_ms);
    b.append(SqlInfo::FlightSqlServerTransactionTimeout, 0_i32);
}

fn names(b: &mut SqlInfoDataBuilder) {
    b.append(SqlInfo::SqlDdlCatalog, false);
    b.append(SqlInfo::SqlDdlSchema, false);
    b.append(SqlInfo::SqlDdlTable, true);
    b.append(SqlInfo::SqlIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityLowercase as i32);
    b.append(SqlInfo::SqlIdentifierQuoteChar, "\"");
    // Quoted names are taken as they are; the code has no value for that.
    b.append(SqlInfo::SqlQuotedIdentifierCase, SqlSupportedCaseSensitivity::SqlCaseSensitivityUnknown as i32);
    b.append(SqlInfo::SqlAllTablesAreSelectable, true);
    b.append(SqlInfo::SqlNullOrdering, SqlNullOrdering::SqlNullsSortedHigh as i32);
    b.append(SqlInfo::SqlKeywords, KEYWORDS);
    b.append(SqlInfo::SqlNumericFunctions, NUMERIC_FUNCTIONS);
    b.append(SqlInfo::SqlStringFunctions, STRING_FUNCTIONS);
    b.append(SqlInfo::SqlSystemFunctions, SYSTEM_FUNCTIONS);
    b.append(SqlInfo::SqlDatetimeFunctions, DATETIME_FUNCTIONS);
    b.append(SqlInfo::SqlSearchStringEscape, "\\");
    b.append(SqlInfo::SqlExtraNameCharacters, "");
    b.append(SqlInfo::SqlSchemaTerm, "schema");
    b.append(SqlInfo::SqlProcedureTerm, "procedure");
    b.append(SqlInfo::SqlCatalogTerm, "catalog");
    b.append(SqlInfo::SqlCatalogAtStart, true);
    // Neither schemas nor catalogs may be named in procedures, indexes or privileges: there are none of those.
    b.append(SqlInfo::SqlSchemasSupportedActions, 0_i32);
    b.append(SqlInfo::SqlCatalogsSupportedActions, 0_i32);
}

fn grammar(b: &mut SqlInfoDataBuilder) {
    b.append(SqlInfo::SqlSupportsColumnAliasing, true);
    b.append(SqlInfo::SqlNullPlusNullIsNull, true);
    b.append(SqlInfo::SqlSupportsConvert, conversions());
    b.append(SqlInfo::SqlSupportsTableCorrelationNames, true);
    b.append(SqlInfo::SqlSupportsDifferentTableCorrelationNames, false);
    b.append(SqlInfo::SqlSupportsExpressionsInOrderBy, true);
    b.append(SqlInfo::SqlSupportsOrderByUnrelated, true);
    // Bits: 0 unrelated to the select list, 1 beyond it.
    b.append(SqlInfo::SqlSupportedGroupBy, 0b11_i32);
    b.append(SqlInfo::SqlSupportsLikeEscapeClause, true);
    b.append(SqlInfo::SqlSupportsNonNullableColumns, true);
    // Bits: 0 minimum, 1 core, 2 extended grammar of ODBC.
    b.append(SqlInfo::SqlSupportedGrammar, 0b111_i32);
    // Bits: 0 entry, 1 intermediate, 2 full SQL-92.
    b.append(SqlInfo::SqlAnsi92SupportedLevel, 0b001_i32);
    b.append(SqlInfo::SqlSupportsIntegrityEnhancementFacility, false);
    b.append(SqlInfo::SqlOuterJoinsSupportLevel, SqlOuterJoinsSupportLevel::SqlFullOuterJoins as i32);
    // Bits: 0 positioned delete, 1 positioned update.
    b.append(SqlInfo::SqlSupportedPositionedCommands, 0_i32);
    b.append(SqlInfo::SqlSelectForUpdateSupported, false);
    b.append(SqlInfo::SqlStoredProceduresSupported, false);
    // Bits: 0 in comparisons, 1 in EXISTS, 2 in IN, 3 quantified.
    b.append(SqlInfo::SqlSupportedSubqueries, 0b111_i32);
    b.append(SqlInfo::SqlCorrelatedSubqueriesSupported, true);
    // Bits: 0 UNION, 1 UNION ALL.
    b.append(SqlInfo::SqlSupportedUnions, 0b11_i32);
}

fn limits(b: &mut SqlInfoDataBuilder) {
    let name = i64::try_from(NAME_BYTES_MAX).unwrap_or(i64::MAX);
    let statement = i64::try_from(SQL_BYTES_MAX).unwrap_or(i64::MAX);
    let statements = i64::try_from(STATEMENTS_MAX).unwrap_or(i64::MAX);
    for code in [
        SqlInfo::SqlMaxBinaryLiteralLength,
        SqlInfo::SqlMaxCharLiteralLength,
        SqlInfo::SqlMaxColumnNameLength,
        SqlInfo::SqlMaxColumnsInGroupBy,
        SqlInfo::SqlMaxColumnsInIndex,
        SqlInfo::SqlMaxColumnsInOrderBy,
        SqlInfo::SqlMaxColumnsInSelect,
        SqlInfo::SqlMaxColumnsInTable,
        SqlInfo::SqlMaxConnections,
        SqlInfo::SqlMaxCursorNameLength,
        SqlInfo::SqlMaxIndexLength,
        SqlInfo::SqlMaxProcedureNameLength,
        SqlInfo::SqlMaxRowSize,
        SqlInfo::SqlMaxTablesInSelect,
        SqlInfo::SqlMaxUsernameLength,
    ] {
        b.append(code, UNLIMITED);
    }
    // A schema is named project_environment.
    b.append(SqlInfo::SqlDbSchemaNameLength, name * 2 + 1);
    b.append(SqlInfo::SqlMaxCatalogNameLength, name);
    b.append(SqlInfo::SqlMaxTableNameLength, name);
    b.append(SqlInfo::SqlMaxRowSizeIncludesBlobs, true);
    b.append(SqlInfo::SqlMaxStatementLength, statement);
    b.append(SqlInfo::SqlMaxStatements, statements);
}

fn transactions(b: &mut SqlInfoDataBuilder) {
    // The specification says int32; the JDBC driver up to 18.3 casts to a long and throws on anything else.
    b.append(
        SqlInfo::SqlDefaultTransactionIsolation,
        i64::from(SqlTransactionIsolationLevel::SqlTransactionNone as i32),
    );
    b.append(SqlInfo::SqlTransactionsSupported, false);
    // Bit 0: none.
    b.append(SqlInfo::SqlSupportedTransactionsIsolationLevels, 0b1_i32);
    b.append(SqlInfo::SqlDataDefinitionCausesTransactionCommit, false);
    b.append(SqlInfo::SqlDataDefinitionsInTransactionsIgnored, false);
    b.append(SqlInfo::SqlSavepointsSupported, false);
}

fn results(b: &mut SqlInfoDataBuilder) {
    // Bit 1: forward only. Bit 1 of concurrencies: read only.
    b.append(SqlInfo::SqlSupportedResultSetTypes, 0b10_i32);
    b.append(SqlInfo::SqlSupportedConcurrenciesForResultSetUnspecified, 0b10_i32);
    b.append(SqlInfo::SqlSupportedConcurrenciesForResultSetForwardOnly, 0b10_i32);
    b.append(SqlInfo::SqlSupportedConcurrenciesForResultSetScrollSensitive, 0_i32);
    b.append(SqlInfo::SqlSupportedConcurrenciesForResultSetScrollInsensitive, 0_i32);
    b.append(SqlInfo::SqlBatchUpdatesSupported, false);
    b.append(SqlInfo::SqlNamedParametersSupported, false);
    b.append(SqlInfo::SqlLocatorsUpdateCopy, false);
    b.append(SqlInfo::SqlStoredFunctionsUsingCallSyntaxSupported, false);
}

/// What `CAST` converts, by the codes of `SqlSupportsConvert`.
fn conversions() -> BTreeMap<i32, Vec<i32>> {
    use arrow_flight::sql::SqlSupportsConvert as C;
    let code = |types: &[C]| -> Vec<i32> { types.iter().map(|convert| *convert as i32).collect() };
    let numbers = [
        C::SqlConvertTinyint,
        C::SqlConvertSmallint,
        C::SqlConvertInteger,
        C::SqlConvertBigint,
        C::SqlConvertFloat,
        C::SqlConvertReal,
        C::SqlConvertDecimal,
        C::SqlConvertNumeric,
    ];
    let mut map = BTreeMap::new();
    let mut to: Vec<C> = numbers.to_vec();
    to.extend([C::SqlConvertVarchar, C::SqlConvertBit]);
    for number in numbers {
        map.insert(number as i32, code(&to));
    }
    let mut text: Vec<C> = to.clone();
    text.extend([C::SqlConvertDate, C::SqlConvertTime, C::SqlConvertTimestamp, C::SqlConvertVarbinary]);
    map.insert(C::SqlConvertVarchar as i32, code(&text));
    map.insert(C::SqlConvertBit as i32, code(&to));
    let times = [C::SqlConvertDate, C::SqlConvertTimestamp, C::SqlConvertVarchar, C::SqlConvertBigint];
    map.insert(C::SqlConvertDate as i32, code(&times));
    map.insert(
        C::SqlConvertTimestamp as i32,
        code(&[
            C::SqlConvertTime,
            C::SqlConvertDate,
            C::SqlConvertTimestamp,
            C::SqlConvertVarchar,
            C::SqlConvertBigint,
        ]),
    );
    map
}

#[cfg(test)]
mod tests {
    use arrow::array::AsArray as _;
    use arrow::datatypes::UInt32Type;

    use super::*;

    #[test]
    fn every_code_has_a_value() {
        let batch = infos().unwrap().record_batch(Vec::<u32>::new()).unwrap();
        let codes: Vec<u32> = batch.column(0).as_primitive::<UInt32Type>().values().to_vec();
        // The enum has no list of its values: every number that is one of its codes must be there.
        let known: Vec<u32> =
            (0..1_000u32).filter(|code| SqlInfo::try_from(code.cast_signed()).is_ok()).collect();
        assert_eq!(codes, known);
    }
}
