// Zoho's own SDK (zohocrm-java-sdk-8.0), with the proxy's URL and nothing else: a bulk-write upload, and the
// download of a result. Arguments: the proxy's URL, and the path of the result there.
import com.zoho.api.authenticator.OAuthToken;
import com.zoho.api.authenticator.store.FileStore;
import com.zoho.api.logger.Logger;
import com.zoho.crm.api.HeaderMap;
import com.zoho.crm.api.Initializer;
import com.zoho.crm.api.SDKConfig;
import com.zoho.crm.api.bulkwrite.BulkWriteOperations;
import com.zoho.crm.api.bulkwrite.FileBodyWrapper;
import com.zoho.crm.api.bulkwrite.SuccessResponse;
import com.zoho.crm.api.dc.DataCenter;
import com.zoho.crm.api.util.StreamWrapper;
import java.nio.file.Files;
import java.nio.file.Path;

class Sdk {
    public static void main(String[] args) throws Exception {
        String proxy = args[0];
        Path dir = Files.createTempDirectory(Path.of("."), "sdk-").toAbsolutePath();
        DataCenter.Environment environment = new DataCenter.Environment() { // API, accounts and uploads: all three are the proxy
            @Override public String getUrl() { return proxy; }
            @Override public String getAccountsUrl() { return proxy + "/oauth/v2/token"; }
            @Override public String getFileUploadUrl() { return proxy; }
        };
        OAuthToken token = new OAuthToken.Builder()
            .clientID("any").clientSecret("any").refreshToken("any").findUser(false).build();
        new Initializer.Builder().environment(environment).token(token)
            .store(new FileStore(dir.resolve("tokens").toString()))
            .resourcePath(dir.toString())
            .SDKConfig(new SDKConfig.Builder().autoRefreshFields(false).pickListValidation(false).build())
            .logger(new Logger.Builder().level(Logger.Levels.OFF).filePath(dir.resolve("log").toString()).build())
            .initialize();

        Path file = Files.write(dir.resolve("leads.zip"), "PK".getBytes());
        FileBodyWrapper body = new FileBodyWrapper();
        body.setFile(new StreamWrapper(file.toString()));
        HeaderMap headers = new HeaderMap();
        headers.add(BulkWriteOperations.UploadFileHeader.FEATURE, "bulk-write");
        headers.add(BulkWriteOperations.UploadFileHeader.X_CRM_ORG, "1");
        var uploaded = new BulkWriteOperations().uploadFile(body, headers);
        System.out.println("upload " + uploaded.getStatusCode() + " " + ((SuccessResponse) uploaded.getObject()).getCode().getValue());

        var downloaded = new BulkWriteOperations().downloadBulkWriteResult(proxy + args[1]);
        var content = ((com.zoho.crm.api.bulkwrite.FileBodyWrapper) downloaded.getObject()).getFile().getStream();
        System.out.println("download " + downloaded.getStatusCode() + " " + new String(content.readAllBytes()));
    }
}
