//! A result's files, read back by other people's readers.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::Command,
};

use engines::{Skip, readers, skip_or_fail};
use results::{Format, Options, Source, write};

/// Every type of column, with the values that are most easily damaged.
const DOCUMENT: &str = r#"{"columns":[
{"name":"string","type":"string"},{"name":"bool","type":"boolean"},{"name":"bytes","type":"bytes"},{"name":"long","type":"long"},
{"name":"float","type":"float"},{"name":"decimal","type":"decimal"},{"name":"small","type":"decimal"},{"name":"wide","type":"decimal"},
{"name":"array","type":"array"},{"name":"map","type":"map"},{"name":"any","type":"any"},{"name":"null","type":"null"},
{"name":"key, \"quoted\"\n日本","type":"string"}],"data":[
["plain",true,"AAECAw==",9223372036854775807,0.1,12345678901234567890123456789012345678,0.00000000000000000001234567890123456789,9.9999999999999999999999999999999999999E+125,[1,"a",null,[]],{"a":{"b":1.50}},"text",null,"x"],
["",false,"",-9223372036854775808,-1.5e-7,-99999999999999999999999999999999999999,0,-1E-130,[],{},12345678901234567890123456789012345678,null,""],
[null,null,null,null,null,null,null,null,null,null,null,null,null],
["a,b;c\t\"d\"\r\ne\nf",true,"//79",0,-0,-0,-0.5,1e3,["é","\u001b[31m"],{"null":null,"e":""},{"S":1},null,"'=1+1"],
["日本語 👨‍👩‍👧 שלום \u0000|",false,"+w==",-1,1E+30,1.0,1500E-4,0.10,[{"m":{}}],{"":[1]},true,null,"=1+1"]
],"stats":{"rows":5}}"#;

fn write_all_formats(document: &str, folder: &Path) {
    fs::write(folder.join("document.json"), document).unwrap();
    let source = Source::document(document.as_bytes()).unwrap();
    for ending in ["parquet", "arrow", "arrows", "csv", "tsv", "ndjson", "json"] {
        let path = folder.join(format!("result.{ending}"));
        let format = Format::of_path(&path).unwrap();
        let mut file = File::create(path).unwrap();
        write(format, &source, &Options::default(), &mut file).unwrap();
    }
}

/// Reads the files with a script, in the Python environment that has its readers.
fn read_back(python: Result<PathBuf, Skip>, script: &str, folder: &Path) {
    let python = match python {
        Ok(python) => python,
        Err(skip) => return skip_or_fail(&skip),
    };
    let script = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("it/formats")
        .join(script);
    let output = Command::new(python)
        .arg(script)
        .arg(folder)
        .output()
        .unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
}

#[test]
fn pyarrow_duckdb_polars_and_pythons_csv_read_every_value_and_type() {
    let folder = tempfile::tempdir().unwrap();
    write_all_formats(DOCUMENT, folder.path());
    read_back(readers::python(), "read_back.py", folder.path());
}

#[test]
fn jq_reads_every_value_of_json_and_ndjson_digit_for_digit() {
    let folder = tempfile::tempdir().unwrap();
    write_all_formats(DOCUMENT, folder.path());
    read_back(readers::jq(), "read_by_jq.py", folder.path());
}
