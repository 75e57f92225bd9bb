// Where the server is and how long we wait for it. The URL is libpq's to read; what it holds in secret stays in here.

import CPQ
package import SQL

package struct PostgreSQLConfiguration: Sendable, CustomStringConvertible {
    package struct Limits: Sendable {
        /// Connections that read, each opened when it is first needed. Default 4.
        package var readers = 4
        /// Connections that write, each committing for everyone who waits. Default 2.
        package var writers = 2
        /// Prepared statements a connection keeps. Default 256.
        package var statements = 256
        /// Reads that may wait for a connection. Default 4,096.
        package var waitingReads = 4096
        /// What may wait to be written.
        package var queue = WriteQueue.Limits()
        /// Seconds that opening may take in all, so that the order in which servers start does not matter. Default 30.
        package var openTimeout = 30.0
        /// Seconds for one try to connect, unless the URL has `connect_timeout`. Default 10.
        package var connectTimeout = 10.0
        /// Seconds that the server may work on one statement. Default 15.
        package var statementTimeout = 15.0
        /// Seconds that a statement may wait for another transaction's lock. Default 10.
        package var lockTimeout = 10.0
        /// Seconds after which the server ends a transaction that says nothing more. Default 60.
        package var idleTimeout = 60.0
        /// Seconds beyond the statement's own time in which nothing moves, after which the connection counts as lost. Default 5.
        package var silence = 5.0
        /// Seconds of the longest pause between tries to connect. Default 5.
        package var longestPause = 5.0

        package init() {}
    }

    /// libpq's keywords and values, the password among them.
    let parameters: [(keyword: String, value: String)]
    let limits: Limits
    /// Host, port and database; never a user or a password.
    package let description: String

    /// Reads a `postgres://` or `postgresql://` URL with everything that libpq understands in it (`sslmode`, `sslrootcert`,
    /// `connect_timeout`, several hosts, `target_session_attrs` …).
    /// - Parameter rootCertificates: a PEM file of authorities, for a URL that names none by `sslrootcert`.
    /// - Throws: `SQLError` with `.failure`, which shows nothing of the URL.
    package init(url: String, rootCertificates: String? = nil, limits: Limits = .init()) throws(SQLError) {
        guard url.hasPrefix("postgres://") || url.hasPrefix("postgresql://") else {
            throw SQLError(.failure, "the URL of a PostgreSQL database begins with postgres:// or postgresql://")
        }
        var given = try Self.parse(url)
        let defaults: [(String, String?)] = [
            ("application_name", "postern"), ("sslrootcert", rootCertificates), ("keepalives_idle", "30"),
            ("keepalives_interval", "10"), ("keepalives_count", "3"), ("tcp_user_timeout", "30000"),
        ]
        for case (let keyword, let value?) in defaults where given[keyword] == nil { given[keyword] = value }
        var limits = limits
        if let seconds = given["connect_timeout"].flatMap(Double.init), seconds > 0 { limits.connectTimeout = seconds }
        // Texts cross the wire in UTF-8, whatever the URL or the environment says.
        given["client_encoding"] = "UTF8"
        self.limits = limits
        parameters = given.sorted { $0.key < $1.key }.map { ($0.key, $0.value) }
        let host = given["host"] ?? given["hostaddr"] ?? "the local socket"
        description = [host, given["port"].map { ":\($0)" } ?? "", given["dbname"].map { "/\($0)" } ?? ""].joined()
    }

    private static func parse(_ url: String) throws(SQLError) -> [String: String] {
        var message: UnsafeMutablePointer<CChar>?
        guard let options = PQconninfoParse(url, &message) else {
            defer { PQfreemem(message) }
            let text = message.map { String(cString: $0) } ?? "out of memory"
            throw SQLError(.failure, "the database URL cannot be read: \(withoutQuotes(text))")
        }
        defer { PQconninfoFree(options) }
        var given: [String: String] = [:]
        var option = options
        while let keyword = option.pointee.keyword {
            if let value = option.pointee.val { given[String(cString: keyword)] = String(cString: value) }
            option += 1
        }
        return given
    }

    /// libpq quotes the piece that it does not understand, which may hold the password: only plain keywords are kept.
    private static func withoutQuotes(_ text: String) -> String {
        let pieces = text.split(separator: "\"", omittingEmptySubsequences: false)
        var kept = ""
        for (index, piece) in pieces.enumerated() {
            let isKeyword = piece.utf8.allSatisfy {
                $0 == UInt8(ascii: "_") || (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0)
            }
            if index.isMultiple(of: 2) {
                kept += piece
            } else {
                kept += isKeyword && text.hasPrefix("invalid URI query") ? piece : "…"
            }
        }
        return String(kept.split(separator: "\n").first ?? "").trimmed
    }
}

extension String {
    var trimmed: String {
        var rest = self[...]
        while rest.last?.isWhitespace == true { rest.removeLast() }
        return String(rest)
    }
}
