// A directory of a test's own, gone when the test ends.

import Foundation

struct TemporaryDirectory {
    let path: String

    static func with<Result>(_ body: (TemporaryDirectory) async throws -> Result) async throws -> Result {
        let directory = try make()
        defer { directory.remove() }
        return try await body(directory)
    }

    static func with<Result>(_ body: (TemporaryDirectory) throws -> Result) throws -> Result {
        let directory = try make()
        defer { directory.remove() }
        return try body(directory)
    }

    func write(_ name: String, _ text: String) throws {
        try Data(text.utf8).write(to: URL(filePath: path).appending(path: name))
    }

    private static func make() throws -> TemporaryDirectory {
        let directory = FileManager.default.temporaryDirectory.appending(path: "postern-\(UUID().uuidString)")
        try FileManager.default.createDirectory(at: directory, withIntermediateDirectories: true)
        return TemporaryDirectory(path: directory.path)
    }

    private func remove() { try? FileManager.default.removeItem(atPath: path) }
}
