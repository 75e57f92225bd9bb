// Reads and writes one table whole, in pieces that fit into memory, in the order of its primary key and in SQL that every
// engine takes.

import SQL

struct TableReader: Sendable {
    struct Piece: Sendable {
        let rows: [SQLRow]
        /// Of the values.
        let bytes: Int
        let isLast: Bool
    }

    let table: InstanceTable
    let columns: [SQLColumn]
    /// Places of the primary key's columns, in the key's order.
    private let key: [Int]
    private let limits: InstanceMover.Limits

    /// - Throws: `InstanceMoveError` where the table is not one that can be read this way.
    init(_ table: InstanceTable, columns: [SQLColumn], limits: InstanceMover.Limits) throws(InstanceMoveError) {
        self.table = table
        self.columns = columns
        self.limits = limits
        key = columns.indices.filter { columns[$0].keyPosition != nil }.sorted {
            columns[$0].keyPosition ?? 0 < columns[$1].keyPosition ?? 0
        }
        guard !key.isEmpty, !columns.contains(where: { $0.kind == .other }) else {
            throw InstanceMoveError(
                .schemasDiffer, "the table \(table.name) has no primary key, or a column of a type that is not ours")
        }
    }

    func key(of row: SQLRow) -> [SQLValue] { key.map { row.values[$0] } }

    /// The rows after a key.
    func piece(after last: [SQLValue]?, _ connection: any SQLConnection) throws(SQLError) -> Piece {
        // Sizes first: a few rows of the largest mail may be more than memory holds.
        let sizes = try connection.rows(page(size, after: last, limit: limits.rows))
        var count = 0
        var sum = 0
        for row in sizes {
            sum += Int(try row.integer(0))
            if count > 0, sum > limits.bytes { break }
            count += 1
        }
        guard count > 0 else { return Piece(rows: [], bytes: 0, isLast: true) }
        let rows = try connection.rows(page(selection, after: last, limit: count))
        let isLast = sizes.count < limits.rows && count == sizes.count
        return Piece(rows: rows, bytes: rows.reduce(0) { $0 + Self.bytes(of: $1) }, isLast: isLast)
    }

    /// The highest key there is.
    func lastKey(_ connection: any SQLConnection) throws(SQLError) -> [SQLValue]? {
        let names = key.map { columns[$0].name }
        let descending = names.map { "\($0) DESC" }.joined(separator: ", ")
        return try connection.row(
            SQLStatement(
                stringLiteral:
                    "SELECT \(names.joined(separator: ", ")) FROM \(table.name) ORDER BY \(descending) LIMIT 1"))?
            .values
    }

    func count(_ connection: any SQLConnection) throws(SQLError) -> Int {
        Int(try connection.row(SQLStatement(stringLiteral: "SELECT COUNT(*) FROM \(table.name)"))?.integer(0) ?? 0)
    }

    func insert(_ rows: [SQLRow], _ connection: any SQLConnection) throws(SQLError) {
        let beginning = "INSERT INTO \(table.name) (\(columns.map(\.name).joined(separator: ", "))) VALUES ("
        for row in rows {
            var text = SQLStatement.StringInterpolation(
                literalCapacity: beginning.utf8.count + 8, interpolationCount: columns.count)
            text.appendLiteral(beginning)
            text.append(row.values)
            text.appendLiteral(")")
            try connection.send(SQLStatement(stringInterpolation: text))
        }
    }

    /// Columns of a row whose text holds a NUL character.
    func columnsWithNUL(_ row: SQLRow) -> [String] {
        zip(columns, row.values).compactMap { column, value in
            if case .text(let text) = value, text.utf8.contains(0) { column.name } else { nil }
        }
    }

    /// A row by its key, fit for a terminal.
    func name(of row: SQLRow) -> String {
        let parts = key(of: row).map { value in
            switch value {
            case .text(let text): text.unicodeScalars.map { $0.escaped(asASCII: true) }.joined()
            case .integer(let number): "\(number)"
            case .null, .real, .blob: "?"
            }
        }
        return "\(table.name) \(parts.joined(separator: "/"))"
    }

    private func page(_ selection: String, after last: [SQLValue]?, limit: Int) -> SQLStatement {
        let names = key.map { columns[$0].name }.joined(separator: ", ")
        var text = SQLStatement.StringInterpolation(literalCapacity: 256, interpolationCount: key.count + 1)
        text.appendLiteral("SELECT \(selection) FROM \(table.name)")
        if let last {
            text.appendLiteral(" WHERE (\(names)) > (")
            text.append(last)
            text.appendLiteral(")")
        }
        text.appendLiteral(" ORDER BY \(names) LIMIT ")
        text.appendInterpolation(limit)
        return SQLStatement(stringInterpolation: text)
    }

    private var selection: String {
        columns.map { column in table.replacements[column.name] ?? column.name }.joined(separator: ", ")
    }

    private var size: String {
        let long = columns.filter { $0.kind == .text || $0.kind == .blob }
        return (["0"] + long.map { "COALESCE(length(\($0.name)), 0)" }).joined(separator: " + ")
    }

    private static func bytes(of row: SQLRow) -> Int {
        row.values.reduce(0) { sum, value in
            switch value {
            case .null: sum
            case .integer, .real: sum + 8
            case .text(let text): sum + text.utf8.count
            case .blob(let bytes): sum + bytes.count
            }
        }
    }
}

extension SQLStatement.StringInterpolation {
    fileprivate mutating func append(_ values: [SQLValue]) {
        for (index, value) in values.enumerated() {
            if index > 0 { appendLiteral(", ") }
            appendInterpolation(value)
        }
    }
}
