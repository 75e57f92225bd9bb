// No value of a setting stands in mapping or at runtime: they come from the vault or from its instance.

import Testing

#if canImport(Glibc)
import Glibc
#endif

@Suite("No literals for settings")
struct LiteralScanTests {
    static let folders = [
        "Core/Mapping", "Core/Dialects", "Core/Outbox", "Core/Policy", "Core/Rates", "Core/Runaway", "Core/Delivery",
        "Edge",
    ]

    static let guilty: [String] = [
        "let priority = settings.value(Settings.defaultPriority) ?? 5",
        "let p = settings\n    .value(Settings.defaultPriority)\n    ?? 5",
        "f(settings.value(Settings.route) ?? .shadow)",
        "f(settings.value(Settings.defaultTags) ?? [\"a\"])",
        "f(settings.value(Settings.defaultCampaignID) ?? \"none\")",
        "f(settings.value(Settings.liveSendEnabled) ?? false)",
        "f(settings.value(Settings.retentionDays) ?? -1)",
        "f(settings.value(Settings.retentionDays).map { $0 * 86_400 } ?? 0)",
        "f(settings.value(Settings.envelopeAddress)?.domain ?? \"example.com\")",
        "let days = settings.value(Settings.retentionDays)\nf(days ?? 30)",
        "guard let x = try? settings.require(Settings.authMode) else { return }",
        "f((try? settings.require(Settings.authMode)) ?? AuthModes(mode))",
        "do { p = try settings.require(Settings.defaultPriority) } catch { p = 5 }",
        "do { return try settings.require(Settings.authMode) } catch let e as PosternError { return .both }",
        "let p = if let p = settings.value(Settings.defaultPriority) { p } else { 5 }",
        "Envelope(priority: 5)", "func f(priority: Int = 5) {}", "var retentionDays: Int? = 30",
        "draft.authMode = .both",
        "RateLimit(perHour: 100, burst: ceiling)", "f(defaultTags: [\"a\"])",
        "f(\"\\(settings.value(Settings.route) ?? .shadow)\")",
    ]

    static let innocent: [String] = [
        "let priority = try settings.require(Settings.defaultPriority)",
        "f(settings.value(Settings.defaultTags) ?? [])", "f(tags ?? settings.value(Settings.defaultTags) ?? [])",
        "// priority: 5, settings.value(Settings.defaultPriority) ?? 5", "/* priority: 5 /* */ priority: 5 */",
        "f(\"settings.value(Settings.defaultPriority) ?? 5, priority: 5\")",
        "f(#\"priority: \\(5) \"priority: 5\"#)", "let text = \"\"\"\n    priority: 5\n    \"\"\"",
        "f(priority: priority, tags: [], campaignID: nil, burst: limit.burst)", "if priority == 5 {}",
        "switch try settings.require(Settings.authMode).mode(for: path) { case .both: f() }",
        "do { p = try settings.require(Settings.defaultPriority) } catch { throw error }",
        "if let limit = settings.value(Settings.sendRateLimit) { f(limit) } else { return nil }",
        "let other = count ?? 5", "var priority: Int?", "f(authMode: .init(mode), tags: .none)",
    ]

    @Test("the scan finds what it is for", arguments: guilty)
    func finds(_ source: String) {
        let padded = "let a = 1\n" + source + "\nlet b = 2\n"
        let offences = LiteralScan(padded).offences()
        #expect(offences.count == 1)
        #expect(offences.allSatisfy { $0.first != "1" }, "the line is the culprit's: \(offences)")
    }

    @Test("the scan leaves alone what is no such value", arguments: innocent)
    func passes(_ source: String) { #expect(LiteralScan(source).offences().isEmpty) }

    @Test("neither mapping nor runtime has a literal in the place of a setting", arguments: folders)
    func sources(_ folder: String) throws {
        let root = #filePath.split(separator: "/").dropLast(3).joined(separator: "/")
        let files = Self.swiftFiles("/\(root)/Sources/\(folder)")
        #expect(!files.isEmpty, "there is nothing in \(folder)")
        var uses = 0
        for file in files {
            let scan = LiteralScan(try #require(Self.text(file)))
            uses += scan.uses
            let offences = scan.offences()
            #expect(offences.isEmpty, "\(file)")
        }
        if ["Core/Mapping", "Core/Policy", "Core/Delivery", "Edge"].contains(folder) {
            #expect(uses > 0, "the scan reads the files that use settings")
        }
    }

    private static func swiftFiles(_ folder: String) -> [String] {
        guard let directory = opendir(folder) else { return [] }
        defer { closedir(directory) }
        var files: [String] = []
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard !name.hasPrefix(".") else { continue }
            let path = "\(folder)/\(name)"
            files += name.hasSuffix(".swift") ? [path] : swiftFiles(path)
        }
        return files.sorted()
    }

    private static func text(_ path: String) -> String? {
        guard let file = fopen(path, "r") else { return nil }
        defer { fclose(file) }
        var bytes: [UInt8] = []
        var buffer = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = fread(&buffer, 1, buffer.count, file)
            guard count > 0 else { break }
            bytes += buffer[..<count]
        }
        return String(validating: bytes, as: UTF8.self)
    }
}
