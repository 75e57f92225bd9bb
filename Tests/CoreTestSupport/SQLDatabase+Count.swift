// Counting rows, for tests that want to know what is in the database and not who put it there.

package import SQL

extension SQLDatabase {
    /// The rows of a table, or of those that a condition in the test's own words picks.
    package func count(_ table: String, where condition: String = "1 = 1") async throws -> Int64 {
        let statement = SQLStatement(stringLiteral: "SELECT COUNT(*) FROM \(table) WHERE \(condition)")
        return try await read { try $0.row(statement)?.integer(0) ?? -1 }
    }
}
