// The server's SQLSTATEs in the words of the seam, and what can be done about each.

import CPQ
import SQL

/// Why a statement or a connection failed, for the engine's own decisions.
struct Failure: Error {
    enum Remedy {
        /// The caller's to know.
        case none
        /// Taken back and run again, it may well succeed: deadlocks, parameter types that had to be learnt.
        case again
        /// As `again`, but on another connection.
        case elsewhere
    }

    let error: SQLError
    let remedy: Remedy

    init(_ error: SQLError, _ remedy: Remedy = .none) {
        self.error = error
        self.remedy = remedy
    }

    /// A connection that is gone. What it was doing may be done again elsewhere, except for a commit.
    static func lost(_ why: String) -> Failure {
        Failure(SQLError(.unavailable, "the connection to the database was lost: \(why)"), .elsewhere)
    }
}

/// An error as the server reports it.
struct ServerError {
    let state: String
    let message: String
    /// The constraint, table or column that it is about; names of our own schema.
    let subject: String?

    init(_ result: OpaquePointer) {
        func field(_ code: Character) -> String? {
            PQresultErrorField(result, Int32(code.asciiValue ?? 0)).map { String(cString: $0) }
        }
        state = field("C") ?? ""
        message = field("M") ?? "no message"
        subject = field("n") ?? field("c") ?? field("t")
    }

    /// The server ends the connection, or has ended it.
    var endsConnection: Bool {
        state.hasPrefix("08") || state.hasPrefix("57P") || state == "25P03"
    }

    var failure: Failure {
        Failure(SQLError(code, text), remedy)
    }

    private var code: SQLError.Code {
        if endsConnection { return .unavailable }
        switch state.prefix(2) {
        case "23": return .constraint
        case "40": return .unavailable
        case "53": return state == "53100" || state == "53200" ? .storage : .unavailable
        case "58": return .storage
        default: break
        }
        switch state {
        case "57014", "55P03", "55006": return .unavailable
        case "XX001", "XX002": return .storage
        default: return .failure
        }
    }

    private var remedy: Failure.Remedy {
        if endsConnection { return .elsewhere }
        switch state {
        case "40001", "40P01": return .again
        // A prepared statement that is gone, or whose table has changed since.
        case "26000", "0A000": return .elsewhere
        default: return .none
        }
    }

    /// Data exceptions quote the value, so that only their number is told.
    private var text: String {
        switch code {
        case .constraint: return "a rule of the schema is violated (\(state)\(subject.map { ", \($0)" } ?? ""))"
        case .failure where state.hasPrefix("22"): return "a value was refused (\(state))"
        default: return "\(message) (\(state))"
        }
    }
}
