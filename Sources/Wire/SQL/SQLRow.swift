// One row of an answer, read by position. The repository that wrote the SELECT knows the order.

package struct SQLRow: Sendable {
    package let values: [SQLValue]

    package init(_ values: [SQLValue]) { self.values = values }

    package func text(_ index: Int) throws(SQLError) -> String {
        guard case .text(let value) = values[index] else { throw mismatch(index, "text") }
        return value
    }

    package func optionalText(_ index: Int) throws(SQLError) -> String? {
        values[index] == .null ? nil : try text(index)
    }

    package func integer(_ index: Int) throws(SQLError) -> Int64 {
        guard case .integer(let value) = values[index] else { throw mismatch(index, "an integer") }
        return value
    }

    package func optionalInteger(_ index: Int) throws(SQLError) -> Int64? {
        values[index] == .null ? nil : try integer(index)
    }

    package func bool(_ index: Int) throws(SQLError) -> Bool { try integer(index) != 0 }

    package func blob(_ index: Int) throws(SQLError) -> [UInt8] {
        guard case .blob(let value) = values[index] else { throw mismatch(index, "a blob") }
        return value
    }

    package func optionalBlob(_ index: Int) throws(SQLError) -> [UInt8]? {
        values[index] == .null ? nil : try blob(index)
    }

    private func mismatch(_ index: Int, _ expected: String) -> SQLError {
        SQLError(.unexpectedValue, "column \(index) does not hold \(expected)")
    }
}
