// A directory for the length of a test.

#if canImport(Glibc)
import Glibc
#endif

package struct NoTemporaryDirectory: Error {}

/// Makes a directory, hands over its path, and takes the directory away again with the files in it.
package func withTemporaryDirectory<Result>(_ body: (String) async throws -> Result) async throws -> Result {
    // In memory where there is such a place: the suites commit some thousand times, and ask nothing of the disk.
    let parent = getenv("TMPDIR").map { String(cString: $0) } ?? (access("/dev/shm", W_OK) == 0 ? "/dev/shm" : "/tmp")
    var template = Array("\(parent)/postern-test-XXXXXX".utf8CString)
    guard mkdtemp(&template) != nil else { throw NoTemporaryDirectory() }
    let path = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
    defer {
        for name in fileNames(in: path) { unlink("\(path)/\(name)") }
        rmdir(path)
    }
    return try await body(path)
}

/// Names of the files in a directory, in order; none when it cannot be read.
package func fileNames(in path: String) -> [String] {
    guard let directory = opendir(path) else { return [] }
    defer { closedir(directory) }
    var names: [String] = []
    while let entry = readdir(directory) {
        let name = withUnsafePointer(to: &entry.pointee.d_name) { pointer in
            pointer.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
        }
        if name != ".", name != ".." { names.append(name) }
    }
    return names.sorted()
}

/// All bytes of a file; none when it cannot be read.
package func fileBytes(_ path: String) -> [UInt8] {
    guard let file = fopen(path, "r") else { return [] }
    defer { fclose(file) }
    var bytes: [UInt8] = []
    while case let byte = fgetc(file), byte != EOF { bytes.append(UInt8(truncatingIfNeeded: byte)) }
    return bytes
}
