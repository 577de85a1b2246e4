// Zoho's own SDK (@zohocrm/nodejs-sdk-8.0), with the proxy's URL and nothing else: a bulk-write upload, and
// the download of a result. Arguments: the proxy's URL, and the path of the result there.
import "@zohocrm/nodejs-sdk-8.0"; // its modules need each other in a circle, and this order
import { mkdtempSync, writeFileSync } from "node:fs";
import path from "node:path";

const [proxy, result] = process.argv.slice(2);
const lib = "@zohocrm/nodejs-sdk-8.0/lib";
const load = async (file, name) => (await import(`${lib}/${file}.js`))[name];
const dir = mkdtempSync(path.join(process.cwd(), "sdk-"));

const Environment = await load("routes/dc/data_center", "DataCenter");
const OAuthBuilder = await load("models/authenticator/oauth_builder", "OAuthBuilder");
const FileStore = await load("models/authenticator/store/file_store", "FileStore");
const InitializeBuilder = await load("routes/initialize_builder", "InitializeBuilder");
const SDKConfigBuilder = await load("routes/sdk_config_builder", "SDKConfigBuilder");
const LogBuilder = await load("routes/logger/log_builder", "LogBuilder");
const Levels = await load("routes/logger/logger", "Levels");
const HeaderMap = await load("routes/header_map", "HeaderMap");
const StreamWrapper = await load("utils/util/stream_wrapper", "StreamWrapper");
const bulk = "core/com/zoho/crm/api/bulk_write";
const { BulkWriteOperations, UploadFileHeader } = await import(`${lib}/${bulk}/bulk_write_operations.js`);
const FileBodyWrapper = await load(`${bulk}/file_body_wrapper`, "MasterModel");

// API, accounts and uploads: all three are the proxy.
const environment = Environment.setEnvironment(proxy, `${proxy}/oauth/v2/token`, proxy);
const token = new OAuthBuilder().clientId("any").clientSecret("any").refreshToken("any").findUser(false).build();
await (await new InitializeBuilder())
  .environment(environment)
  .token(token)
  .store(new FileStore(path.join(dir, "tokens")))
  .resourcePath(dir)
  .SDKConfig(new SDKConfigBuilder().pickListValidation(false).autoRefreshFields(false).build())
  .logger(new LogBuilder().level(Levels.OFF).filePath(path.join(dir, "log")).build())
  .initialize();

const file = path.join(dir, "leads.zip");
writeFileSync(file, "PK");
const body = new FileBodyWrapper();
body.setFile(new StreamWrapper(null, null, file));
const headers = new HeaderMap();
await headers.add(UploadFileHeader.FEATURE, "bulk-write");
await headers.add(UploadFileHeader.X_CRM_ORG, "1");
const uploaded = await new BulkWriteOperations().uploadFile(body, headers);
console.log("upload", uploaded.getStatusCode(), uploaded.getObject().getCode().getValue());

// The SDK calls a whole URL as it stands: the link of the job, with its host behind /_host/.
const downloaded = await new BulkWriteOperations().downloadBulkWriteResult(proxy + result);
const content = (await downloaded.getObject()).getFile().getStream(); // a Buffer
console.log("download", downloaded.getStatusCode(), content.toString());
