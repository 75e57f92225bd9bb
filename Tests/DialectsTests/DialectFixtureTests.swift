// What the payloads of other tools become, as files: `Fixtures/<dialect>/<name>.json` holds a payload, and the messages or the
// error that come of it. `DialectFixture.swift` says what stands in a file.

import Dialects
import Testing

@Suite("Dialect fixtures")
struct DialectFixtureTests {
    @Test("a payload becomes what its fixture says", arguments: DialectFixture.all)
    func payload(_ fixture: DialectFixture) throws { try fixture.check() }

    @Test("every dialect has fixtures, of payloads that are taken and of some that are not", arguments: Dialect.foreign)
    func present(_ dialect: Dialect) throws {
        let fixtures = try DialectFixture.all.filter { $0.dialect == dialect }.map { try $0.expectsError() }
        #expect(fixtures.count { !$0 } >= 6)
        #expect(fixtures.count { $0 } >= 4)
    }
}

extension Dialect {
    /// Those that are not Postern's own.
    static let foreign = allCases.filter { $0.native != nil }
}
