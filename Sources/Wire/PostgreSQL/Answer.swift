// What the server answered to one statement.

import CPQ
import SQL

/// Owns a result of libpq's.
final class Answer {
    let result: OpaquePointer

    init(_ result: OpaquePointer) { self.result = result }

    deinit { PQclear(result) }

    /// How many rows a statement changed.
    var affected: Int { Int(String(cString: PQcmdTuples(result))) ?? 0 }

    /// The server's word for what it did: `COMMIT`, or `ROLLBACK` where a commit was asked for in vain.
    var tag: String { String(cString: PQcmdStatus(result)) }

    /// A value of the only row, as text; for questions that were not put in the binary form.
    func text(_ column: Int32) -> String {
        PQntuples(result) == 1 && column < PQnfields(result) ? String(cString: PQgetvalue(result, 0, column)) : ""
    }

    func rows() throws(SQLError) -> [SQLRow] {
        let columns = PQnfields(result)
        let types = (0..<columns).map { PQftype(result, $0) }
        var rows: [SQLRow] = []
        let count = PQntuples(result)
        rows.reserveCapacity(Int(count))
        for row in 0..<count {
            var values: [SQLValue] = []
            values.reserveCapacity(types.count)
            for column in 0..<columns { values.append(try value(row, column, types[Int(column)])) }
            rows.append(SQLRow(values))
        }
        return rows
    }

    private func value(_ row: Int32, _ column: Int32, _ type: Oid) throws(SQLError) -> SQLValue {
        if PQgetisnull(result, row, column) == 1 { return .null }
        let bytes = UnsafeRawBufferPointer(
            start: PQgetvalue(result, row, column), count: Int(PQgetlength(result, row, column)))
        return try SQLValue(bytes, type: type)
    }
}
