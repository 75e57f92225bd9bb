// What a connection knows of the statements that it has run: prepared on their second use, the least used forgotten.

import CPQ
import SQL

/// One text of SQL on one connection.
final class CachedStatement {
    let text: String
    /// The types of its parameters, as far as values have shown them; 0 is for the server to find out.
    fileprivate(set) var types: [Oid]
    /// Its name on the server, once it is prepared.
    fileprivate(set) var name: String?
    fileprivate var lastUse = 0
    fileprivate var uses = 0

    fileprivate init(text: String, count: Int) {
        self.text = text
        types = Array(repeating: TypeNumber.unknown, count: count)
        // `$1 IS NULL` says nothing of a type; while nothing but NULL has been seen there, any type will do.
        for number in Dialect.parametersAskedForNull(text) { nameType(of: number) }
    }

    /// - Returns: whether the types have changed.
    fileprivate func learn(_ values: [SQLValue]) -> Bool {
        var isChanged = false
        for (index, value) in values.enumerated() {
            let type = TypeNumber.of(value)
            guard type != TypeNumber.unknown, type != types[index] else { continue }
            types[index] = type
            isChanged = true
        }
        return isChanged
    }

    /// Gives a type to a parameter of which the server cannot tell one.
    /// - Parameter number: from 1, as in the text.
    /// - Returns: whether that changed anything.
    @discardableResult
    func nameType(of number: Int?) -> Bool {
        guard let number, types.indices.contains(number - 1), types[number - 1] == TypeNumber.unknown else {
            return false
        }
        types[number - 1] = TypeNumber.text
        return true
    }

    /// The server did not take it.
    func forgetName() { name = nil }
}

struct StatementCache {
    /// Uses after which a statement is prepared anew. The server keeps a plan until its next ANALYZE, up to a minute or more; one
    /// from when a table was small may walk all of it once it is not.
    private static let usesOfAPlan = 1_000

    private var entries: [String: CachedStatement] = [:]
    private var clock = 0
    private let limit: Int
    private let writes: Bool
    /// Names that the server can drop.
    private var dropped: [String] = []

    init(limit: Int, writes: Bool) {
        self.limit = limit
        self.writes = writes
    }

    /// - Returns: the statement, and whether it has a name that has to be prepared before it is used.
    mutating func use(_ statement: SQLStatement) -> (statement: CachedStatement, mustPrepare: Bool) {
        clock += 1
        let entry: CachedStatement
        if let known = entries[statement.text] {
            entry = known
        } else {
            if entries.count >= limit { evict() }
            entry = CachedStatement(
                text: Dialect.statement(statement.text, writes: writes), count: statement.values.count)
            entries[statement.text] = entry
        }
        entry.lastUse = clock
        entry.uses += 1
        let isOld = entry.uses.isMultiple(of: Self.usesOfAPlan)
        if entry.learn(statement.values) || isOld, let name = entry.name {
            dropped.append(name)
            entry.name = nil
        }
        guard entry.name == nil, entry.uses > 1 else { return (entry, false) }
        entry.name = "p\(clock)"
        return (entry, true)
    }

    mutating func takeDropped() -> [String] {
        defer { dropped = [] }
        return dropped
    }

    private mutating func evict() {
        guard let oldest = entries.min(by: { $0.value.lastUse < $1.value.lastUse }) else { return }
        entries[oldest.key] = nil
        if let name = oldest.value.name { dropped.append(name) }
    }
}
