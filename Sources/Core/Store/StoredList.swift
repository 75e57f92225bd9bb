// Lists of texts in a column, as a JSON array. Read back without rules: what was accepted once must stay readable.

import JSON
import SQL

enum StoredList {
    static func texts(_ column: String) throws(SQLError) -> [String] {
        guard let elements = (try? JSONParser.parse(column))?.arrayValue else {
            throw SQLError(.unexpectedValue, "a list in a column is not a JSON array")
        }
        return elements.compactMap(\.stringValue)
    }
}
