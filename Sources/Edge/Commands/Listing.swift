// Lists: one page, or with `--all` every page, printed as it comes so that a long log needs no memory.

import ArgumentParser
import JSON

struct PageOptions: ParsableArguments {
    @Option(help: ArgumentHelp("Rows a page, 1 to 200.", valueName: "rows"))
    var limit: Int?

    @Option(help: "Start where an earlier page ended.")
    var cursor: String?

    @Flag(help: "Read every page.")
    var all = false

    func validate() throws {
        if let limit, !(1...200).contains(limit) { throw ValidationError("--limit is from 1 to 200.") }
    }
}

struct Listing: Sendable {
    let columns: [TableColumn]
    /// What to say instead of an empty table.
    let nothing: String

    /// - Parameter page: `nil` for a list that is always whole.
    func print(
        _ request: APIRequest,
        _ api: APIClient,
        page: PageOptions? = nil,
        output: OutputOptions
    ) async throws(CommandFailure) {
        var request = request
        request.ask("limit", (page?.limit ?? (page?.all == true ? 200 : nil)).map { String($0) })
        let filters = request.query
        var printer: any ListPrinter = output.json ? JSONListPrinter() : TextListPrinter(table: Table(columns))
        var cursor = page?.cursor
        repeat {
            request.query = filters
            request.ask("cursor", cursor)
            let answer = try await api.object(request)
            guard let rows = answer["data"]?.arrayValue else { throw .notPostern }
            let next = answer["next_cursor"]?.stringValue
            // A cursor that leads to itself would never end.
            guard next == nil || next != cursor else { throw .failed("the server's next page is the same page again") }
            cursor = next
            try printer.print(rows)
        } while page?.all == true && cursor != nil
        try printer.finish(next: cursor, nothing: nothing)
    }
}

private protocol ListPrinter {
    mutating func print(_ rows: [JSONValue]) throws(CommandFailure)
    func finish(next: String?, nothing: String) throws(CommandFailure)
}

private struct TextListPrinter: ListPrinter {
    var table: Table
    var isEmpty = true

    mutating func print(_ rows: [JSONValue]) throws(CommandFailure) {
        guard !rows.isEmpty else { return }
        isEmpty = false
        for line in table.lines(rows.compactMap(\.objectValue)) { try Terminal.current.line(line) }
    }

    func finish(next: String?, nothing: String) throws(CommandFailure) {
        if isEmpty { try Terminal.current.line(nothing) }
        if let next { Terminal.current.note("more: --cursor \(Visible.text(next))") }
    }
}

/// `{"data":[…],"next_cursor":…}` as the server writes it, only that all pages are one.
private struct JSONListPrinter: ListPrinter {
    var isEmpty = true

    mutating func print(_ rows: [JSONValue]) throws(CommandFailure) {
        for row in rows {
            let text = JSONText.pretty(row).split(separator: "\n").joined(separator: "\n    ")
            try Terminal.current.output(Array(((isEmpty ? Self.head : ",") + "\n    " + text).utf8))
            isEmpty = false
        }
    }

    func finish(next: String?, nothing: String) throws(CommandFailure) {
        let cursor = JSONText.compact(next.map { .string($0) } ?? .null)
        try Terminal.current.line((isEmpty ? Self.head : "\n  ") + "],\n  \"next_cursor\": \(cursor)\n}")
    }

    private static let head = "{\n  \"data\": ["
}
