import java.io.FileInputStream;
import java.io.IOException;
import java.io.InputStream;
import java.io.UncheckedIOException;
import java.net.URI;
import java.net.http.HttpClient;
import java.net.http.HttpRequest;
import java.net.http.HttpRequest.BodyPublisher;
import java.net.http.HttpRequest.BodyPublishers;
import java.net.http.HttpResponse;
import java.net.http.HttpResponse.BodyHandlers;
import java.nio.file.Path;

/** Java's HttpClient. With the first request it offers HTTP/2, as it does by default. */
public class NewClient {
    public static void main(String[] args) throws Exception {
        HttpClient client = HttpClient.newHttpClient();
        for (int i = 2; i < args.length; i++) {
            String upload = args[i];
            HttpRequest request = HttpRequest.newBuilder(URI.create(args[0]))
                .header("X-Test-Id", upload)
                .POST(body(upload, args[1]))
                .build();
            try {
                HttpResponse<String> answer = client.send(request, BodyHandlers.ofString());
                System.out.println(String.join(" ", upload, "" + answer.statusCode(),
                    told(answer, "X-Sim-Body-Length"), told(answer, "X-Sim-Body-Sha256")));
            } catch (IOException e) {
                System.out.println(upload + " failed: " + e);
            }
        }
    }

    static BodyPublisher body(String upload, String file) throws IOException {
        if (!upload.startsWith("chunked")) {
            return BodyPublishers.ofFile(Path.of(file));
        }
        return BodyPublishers.ofInputStream(() -> open(file));
    }

    static InputStream open(String file) {
        try {
            return new FileInputStream(file);
        } catch (IOException e) {
            throw new UncheckedIOException(e);
        }
    }

    static String told(HttpResponse<?> answer, String name) {
        return answer.headers().firstValue(name).orElse("-");
    }
}
