//! Tests of the language as a whole: its grammar, its meaning in SQL, and its manual.

mod agreement;
mod grammar;
mod manual;
mod sql;
