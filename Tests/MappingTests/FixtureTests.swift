// What a request becomes, as files: a request, the settings and pools around it, and the envelopes or the error.

import JSON
import Mapping
import Model
import Testing

@Suite("Mapping fixtures")
struct FixtureTests {
    @Test("a canonical request becomes the envelope that its fixture says", arguments: Fixture.all("canonical"))
    func canonical(_ fixture: Fixture) throws {
        try check(fixture) { document, context throws(PosternError) in try CanonicalDialect.map(document, context) }
    }

    @Test("a simple request becomes the envelopes that its fixture says", arguments: Fixture.all("simple"))
    func simple(_ fixture: Fixture) throws {
        try check(fixture) { document, context throws(PosternError) in try SimpleDialect.map(document, context) }
    }

    @Test("the fixtures are there")
    func present() {
        #expect(Fixture.all("canonical").count >= 20)
        #expect(Fixture.all("simple").count >= 8)
    }

    private func check(
        _ fixture: Fixture,
        _ map: (JSONValue, MappingContext) throws(PosternError) -> MappedMessage
    ) throws {
        let document = try fixture.document()
        let pools = (document["pools"]?.objectValue ?? JSONObject()).members.map { pool in
            (pool.name, (pool.value.arrayValue ?? []).compactMap(\.stringValue))
        }
        let context = try Sample.context(
            document["settings"]?.objectValue ?? JSONObject(), pools: Dictionary(uniqueKeysWithValues: pools))
        let request = try #require(document["request"])
        let result = Result { () throws(PosternError) in try map(request, context) }
        switch result {
        case .success(let mapped):
            let expected = try #require(document["envelopes"]?.arrayValue, "an error was expected")
            #expect(try mapped.envelopes.map { try Sample.json($0).comparable } == expected.map(\.comparable))
            // What the database keeps of blocks reads back as the same envelope.
            for envelope in mapped.envelopes {
                guard case .blocks = envelope.content.body else { continue }
                let stored = JSONWriter.write(try Sample.json(envelope))
                #expect(try Sample.json(CanonicalDialect.stored(stored)) == Sample.json(envelope))
            }
        case .failure(let error):
            let expected = try #require(document["error"]?.objectValue, "\(error) \(error.problems)")
            #expect(.string(error.code.rawValue) == expected["code"])
            if let pointers = expected["pointers"]?.arrayValue {
                #expect(Set(error.problems.map(\.pointer)) == Set(pointers.compactMap(\.stringValue)))
            }
        }
    }
}
