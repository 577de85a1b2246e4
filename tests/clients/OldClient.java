import java.io.IOException;
import java.io.OutputStream;
import java.net.HttpURLConnection;
import java.net.URL;
import java.nio.file.Files;
import java.nio.file.Path;

/** Java's HttpURLConnection, which streams what it is told the length or the chunks of. */
public class OldClient {
    public static void main(String[] args) throws Exception {
        for (int i = 2; i < args.length; i++) {
            try {
                System.out.println(args[i] + " " + upload(args[0], Path.of(args[1]), args[i]));
            } catch (IOException e) {
                System.out.println(args[i] + " failed: " + e);
            }
        }
    }

    static String upload(String url, Path file, String upload) throws IOException {
        HttpURLConnection connection = (HttpURLConnection) new URL(url).openConnection();
        connection.setRequestMethod("POST");
        connection.setRequestProperty("X-Test-Id", upload);
        connection.setDoOutput(true);
        if (upload.startsWith("chunked")) {
            connection.setChunkedStreamingMode(64 << 10);
        } else {
            connection.setFixedLengthStreamingMode(Files.size(file));
        }
        try (OutputStream body = connection.getOutputStream()) {
            Files.copy(file, body);
        }
        connection.getInputStream().readAllBytes(); // only then is the connection used again
        return String.join(" ", "" + connection.getResponseCode(),
            connection.getHeaderField("X-Sim-Body-Length"), connection.getHeaderField("X-Sim-Body-Sha256"));
    }
}
