// What SQLite says of a table's columns.

import SQL

extension SQLiteConnection {
    func columns(of table: String) throws(SQLError) -> [SQLColumn] {
        var columns: [SQLColumn] = []
        for row in try rows("SELECT name, type, pk FROM pragma_table_info(\(table)) ORDER BY cid") {
            let position = Int(try row.integer(2))
            columns.append(
                SQLColumn(
                    name: try row.text(0).lowercased(), kind: Self.kind(try row.text(1)),
                    keyPosition: position > 0 ? position : nil))
        }
        return columns
    }

    /// The types as migrations write them, which SQLite keeps as they are.
    private static func kind(_ type: String) -> SQLColumn.Kind {
        switch type.uppercased() {
        case "INTEGER", "BIGINT": .integer
        case "REAL", "DOUBLE PRECISION": .real
        case "TEXT": .text
        case "BYTEA", "BLOB": .blob
        default: .other
        }
    }
}
