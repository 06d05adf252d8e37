//! The types that results and parameters may have, as XDBC describes types.

use arrow_flight::error::Result;
use arrow_flight::sql::metadata::{XdbcTypeInfo, XdbcTypeInfoData, XdbcTypeInfoDataBuilder};
use arrow_flight::sql::{Nullable, Searchable, XdbcDataType, XdbcDatetimeSubcode};

/// Most characters of a text and most bytes of a binary value.
const LENGTH_MAX: i32 = i32::MAX;

/// All types, in order of their code.
pub(super) fn types() -> Result<XdbcTypeInfoData> {
    let mut builder = XdbcTypeInfoDataBuilder::new();
    let decimals = [("DECIMAL", XdbcDataType::XdbcDecimal, 38)];
    let integers = [
        ("TINYINT", XdbcDataType::XdbcTinyint, 3),
        ("SMALLINT", XdbcDataType::XdbcSmallint, 5),
        ("INTEGER", XdbcDataType::XdbcInteger, 10),
        ("BIGINT", XdbcDataType::XdbcBigint, 19),
    ];
    let floats = [("REAL", XdbcDataType::XdbcReal, 24), ("DOUBLE", XdbcDataType::XdbcDouble, 53)];
    for (name, code, digits) in integers {
        builder.append(number(name, code, digits, 10, Some(0)));
    }
    for (name, code, digits) in decimals {
        builder.append(number(name, code, digits, 10, Some(digits)));
    }
    for (name, code, bits) in floats {
        builder.append(number(name, code, bits, 2, None));
    }
    builder.append(plain("BOOLEAN", XdbcDataType::XdbcBit, 1, None));
    builder.append(XdbcTypeInfo {
        case_sensitive: true,
        searchable: Searchable::Full,
        create_params: Some(vec!["length".to_owned()]),
        ..plain("VARCHAR", XdbcDataType::XdbcVarchar, LENGTH_MAX, Some("'"))
    });
    builder.append(plain("VARBINARY", XdbcDataType::XdbcVarbinary, LENGTH_MAX, Some("'")));
    let times = [
        // The subcode of a date has the number that the enum calls a year.
        ("DATE", XdbcDataType::XdbcDate, 10, XdbcDatetimeSubcode::XdbcSubcodeYear, 0),
        ("TIME", XdbcDataType::XdbcTime, 18, XdbcDatetimeSubcode::XdbcSubcodeTime, 9),
        ("TIMESTAMP", XdbcDataType::XdbcTimestamp, 29, XdbcDatetimeSubcode::XdbcSubcodeTimestamp, 9),
    ];
    for (name, code, size, subcode, digits) in times {
        builder.append(XdbcTypeInfo {
            sql_data_type: XdbcDataType::XdbcDatetime,
            datetime_subcode: Some(subcode),
            minimum_scale: Some(0),
            maximum_scale: Some(digits),
            ..plain(name, code, size, Some("'"))
        });
    }
    builder.build()
}

fn plain(name: &str, code: XdbcDataType, size: i32, quote: Option<&str>) -> XdbcTypeInfo {
    XdbcTypeInfo {
        type_name: name.to_owned(),
        data_type: code,
        column_size: Some(size),
        literal_prefix: quote.map(str::to_owned),
        literal_suffix: quote.map(str::to_owned),
        nullable: Nullable::NullabilityNullable,
        searchable: Searchable::Basic,
        local_type_name: Some(name.to_owned()),
        sql_data_type: code,
        ..XdbcTypeInfo::default()
    }
}

fn number(name: &str, code: XdbcDataType, digits: i32, radix: i32, scale: Option<i32>) -> XdbcTypeInfo {
    XdbcTypeInfo {
        unsigned_attribute: Some(false),
        auto_increment: Some(false),
        minimum_scale: scale.map(|_| 0),
        maximum_scale: scale,
        num_prec_radix: Some(radix),
        ..plain(name, code, digits, None)
    }
}
