// What PostgreSQL's catalogue says of a table's columns.

import SQL

extension Session {
    func columns(of table: String) throws(SQLError) -> [SQLColumn] {
        let found = try rows(
            """
            SELECT a.attname, format_type(a.atttypid, NULL), COALESCE(k.position, 0)
            FROM pg_attribute a
            LEFT JOIN pg_index i ON i.indrelid = a.attrelid AND i.indisprimary
            LEFT JOIN LATERAL unnest(i.indkey) WITH ORDINALITY AS k (number, position) ON k.number = a.attnum
            WHERE a.attrelid = to_regclass(\(table)) AND a.attnum > 0 AND NOT a.attisdropped
            ORDER BY a.attnum
            """)
        var columns: [SQLColumn] = []
        for row in found {
            let position = Int(try row.integer(2))
            columns.append(
                SQLColumn(
                    name: try row.text(0), kind: Self.kind(try row.text(1)), keyPosition: position > 0 ? position : nil)
            )
        }
        return columns
    }

    private static func kind(_ type: String) -> SQLColumn.Kind {
        switch type {
        case "bigint", "integer", "smallint": .integer
        case "double precision", "real": .real
        case "text", "character varying": .text
        case "bytea": .blob
        default: .other
        }
    }
}
