// Why a command did not do what it was asked, as lines for standard error and an exit code that scripts can rely on.

enum CommandFailure: Error {
    /// The server said no.
    case refused(Problem)
    /// Nothing answered, or not in time.
    case unreachable(server: String, reason: String)
    /// `wait` waited long enough.
    case timedOut(String)
    /// The answer was yes, and still not what was wanted.
    case failed(String)
    /// Nobody reads the output any more.
    case outputClosed

    /// 1 refused, 3 not reachable, 4 timed out. (2 is a mistake on the command line.)
    var exitCode: Int32 {
        switch self {
        case .refused, .failed, .outputClosed: 1
        case .unreachable: 3
        case .timedOut: 4
        }
    }

    var lines: [String] {
        switch self {
        case .refused(let problem): problem.lines
        case .unreachable(let server, let reason):
            [
                "postern: \(Visible.text(server)) cannot be reached: \(Visible.text(reason))",
                "  fix: start it with `postern serve`, or name another server with --url or POSTERN_URL.",
            ]
        case .timedOut(let text), .failed(let text): ["postern: \(Visible.text(text))"]
        case .outputClosed: []
        }
    }
}
