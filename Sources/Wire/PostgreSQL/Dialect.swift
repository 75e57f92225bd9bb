// The few places where the common SQL and PostgreSQL's differ.

enum Dialect {
    /// - Parameter writes: whether rows may be locked.
    static func statement(_ text: String, writes: Bool) -> String {
        guard writes, text.utf8.contains(UInt8(ascii: "*")) else { return text }
        return text.replacing("/* skip locked */", with: "FOR UPDATE SKIP LOCKED")
            .replacing("/* lock */", with: "FOR UPDATE")
    }

    /// Numbers of the parameters in `$1 IS NULL` and `$1 IS NOT NULL`.
    static func parametersAskedForNull(_ text: String) -> [Int] {
        var numbers: [Int] = []
        var rest = text.utf8[...]
        while let marker = rest.firstIndex(of: UInt8(ascii: "$")) {
            rest = rest[rest.index(after: marker)...]
            var number = 0
            while let byte = rest.first, (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte), number < 65_536 {
                number = number * 10 + Int(byte - UInt8(ascii: "0"))
                rest.removeFirst()
            }
            if rest.starts(with: " IS NULL".utf8) || rest.starts(with: " IS NOT NULL".utf8) { numbers.append(number) }
        }
        return numbers
    }

    /// A migration's script. Texts compare byte by byte, as in SQLite, whatever the database was created with: ranges of ids and
    /// of addresses rely on it, and indexes on it are the fastest.
    static func script(_ text: String) -> String {
        var result = ""
        var rest = text[...]
        var previous: Substring = ""
        while let first = rest.first {
            let piece: Substring
            if first == "'" {
                let end = rest.dropFirst().firstIndex(of: "'").map { rest.index(after: $0) } ?? rest.endIndex
                piece = rest[..<end]
            } else if rest.hasPrefix("--") {
                piece = rest.prefix { $0 != "\n" }
            } else if first.isLetter || first == "_" {
                piece = rest.prefix { $0.isLetter || $0.isNumber || $0 == "_" }
            } else {
                piece = rest.prefix(1)
            }
            rest = rest[piece.endIndex...]
            result += piece
            if piece == "TEXT", previous != "AS" { result += " COLLATE \"C\"" }
            if !piece.allSatisfy(\.isWhitespace) { previous = piece }
        }
        return result
    }

    /// One script at a time in a database, without a time limit; both end with the transaction.
    static let scriptPreamble = """
        SET LOCAL statement_timeout = 0; SET LOCAL lock_timeout = 0; SELECT pg_advisory_xact_lock(\(lock));

        """

    /// The bytes of "Postern".
    private static let lock = 0x50_6F_73_74_65_72_6E
}
