PRAGMA foreign_keys = OFF;
BEGIN TRANSACTION;
CREATE TABLE events (
                experiment_id TEXT NOT NULL,
                sequence INTEGER NOT NULL,
                at INTEGER NOT NULL,
                name TEXT NOT NULL,
                fields TEXT NOT NULL,
                PRIMARY KEY (experiment_id, sequence)
            ) WITHOUT ROWID;
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',1,1795398486684,'submitted','{"name":"trial","researcher":"ada","rounds":3,"seed":42,"plan":"sha256:15d576f1fe2c06dcaa66d367e4f6703cfcfe68a9329087661c9fc0623ce9bed5"}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',2,1795398486685,'selected','{"sites":[{"node":"east","dataset":"records"},{"node":"north","dataset":"records"},{"node":"southern","dataset":"records"}]}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',3,1795398486685,'waiting-for-approval','{"pending":[],"unanswered":[{"node":"east","dataset":"records"},{"node":"north","dataset":"records"},{"node":"southern","dataset":"records"}],"approved":[]}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',4,1795398486692,'waiting-for-approval','{"pending":[],"unanswered":[{"node":"east","dataset":"records"},{"node":"southern","dataset":"records"}],"approved":[{"node":"north","dataset":"records"}]}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',5,1795398486694,'waiting-for-approval','{"pending":[],"unanswered":[{"node":"southern","dataset":"records"}],"approved":[{"node":"east","dataset":"records"},{"node":"north","dataset":"records"}]}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',6,1795398486694,'round-started','{"round":1,"attempt":1,"mode":"train","sites":[{"node":"east","dataset":"records"},{"node":"north","dataset":"records"},{"node":"southern","dataset":"records"}],"deadline":1795398516694}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',7,1795398486700,'started','{"site":{"node":"east","dataset":"records"},"round":1}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',8,1795398486702,'started','{"site":{"node":"southern","dataset":"records"},"round":1}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',9,1795398486702,'started','{"site":{"node":"north","dataset":"records"},"round":1}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',10,1795398486716,'reply','{"site":{"node":"east","dataset":"records"},"round":1,"code":"ok","sample_count":28}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',11,1795398486721,'reply','{"site":{"node":"north","dataset":"records"},"round":1,"code":"ok","sample_count":35}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',12,1795398486728,'reply','{"site":{"node":"southern","dataset":"records"},"round":1,"code":"ok","sample_count":56}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',13,1795398486728,'aggregating','{"round":1,"sites":[{"node":"east","dataset":"records"},{"node":"north","dataset":"records"},{"node":"southern","dataset":"records"}]}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',14,1795398486763,'scalar','{"site":{"node":"east","dataset":"records"},"round":1,"attempt":1,"sequence_at_site":1,"train":true,"test":false,"test_on_local_updates":false,"test_on_global_updates":false,"metric":{"Loss":1.0},"epoch":1,"iteration":1,"total_samples":10,"batch_samples":10,"num_batches":1,"num_samples_trained":10}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',15,1795398486763,'scalar','{"site":{"node":"southern","dataset":"records"},"round":1,"attempt":1,"sequence_at_site":1,"train":true,"test":false,"test_on_local_updates":false,"test_on_global_updates":false,"metric":{"Loss":1.0},"epoch":1,"iteration":1,"total_samples":10,"batch_samples":10,"num_batches":1,"num_samples_trained":10}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',16,1795398486763,'scalar','{"site":{"node":"north","dataset":"records"},"round":1,"attempt":1,"sequence_at_site":1,"train":true,"test":false,"test_on_local_updates":false,"test_on_global_updates":false,"metric":{"Loss":1.0},"epoch":1,"iteration":1,"total_samples":10,"batch_samples":10,"num_batches":1,"num_samples_trained":10}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',17,1795398486765,'measured','{"round":0,"loss":null,"metrics":[{"name":"ACCURACY","value":0.5,"made_by":"mean of sites"}],"model":{"digest":"sha256:9f99683d30cd221fc18c042cf4eceec0fd23ff8eaea89a87319a25f022cdee53","size":276,"url":""},"sites":[{"site":{"node":"east","dataset":"records"},"code":"ok","used":false,"sample_count":0,"loss":null,"metrics":{"ACCURACY":0.5},"update_metrics":null,"training_seconds":0.0},{"site":{"node":"north","dataset":"records"},"code":"ok","used":false,"sample_count":0,"loss":null,"metrics":{"ACCURACY":0.5},"update_metrics":null,"training_seconds":0.0},{"site":{"node":"southern","dataset":"records"},"code":"ok","used":false,"sample_count":0,"loss":null,"metrics":{"ACCURACY":0.5},"update_metrics":null,"training_seconds":0.0}]}');
INSERT INTO "events" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',18,1795398486765,'round-finished','{"round":1,"loss":1.0,"metrics":[],"model":{"digest":"sha256:3e2317efd8d1a444a24b1188be3bb537d75dbc48db5e40abbfeee2daf8a33187","size":276,"url":""},"sites":[{"site":{"node":"east","dataset":"records"},"code":"ok","used":true,"sample_count":28,"loss":1.0,"metrics":null,"update_metrics":null,"training_seconds":0.0},{"site":{"node":"north","dataset":"records"},"code":"ok","used":true,"sample_count":35,"loss":1.0,"metrics":null,"update_metrics":null,"training_seconds":0.0},{"site":{"node":"southern","dataset":"records"},"code":"ok","used":true,"sample_count":56,"loss":1.0,"metrics":null,"update_metrics":null,"training_seconds":0.0}]}');
CREATE TABLE executions (
                round_id TEXT PRIMARY KEY,
                experiment_id TEXT NOT NULL,
                round INTEGER NOT NULL,
                node TEXT NOT NULL,
                dataset TEXT NOT NULL,
                asked_at INTEGER NOT NULL
            ) WITHOUT ROWID;
INSERT INTO "executions" VALUES('01a20616-caa6-799c-9e21-f1c6e52ff46a','01a20616-ca9b-711f-b51e-23efb721b95f',1,'southern','records',1795398486694);
INSERT INTO "executions" VALUES('01a20616-caa6-7d6e-a9a9-2b866d2b0366','01a20616-ca9b-711f-b51e-23efb721b95f',1,'east','records',1795398486694);
INSERT INTO "executions" VALUES('01a20616-caa6-7f95-8475-a4faa1cc781d','01a20616-ca9b-711f-b51e-23efb721b95f',1,'north','records',1795398486694);
CREATE TABLE experiments (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                experiment_id TEXT NOT NULL UNIQUE,
                researcher_id TEXT NOT NULL,
                name TEXT NOT NULL,
                submission TEXT NOT NULL,
                plan_digest TEXT NOT NULL,
                submitted_at INTEGER NOT NULL,
                updated_at INTEGER NOT NULL,
                state TEXT NOT NULL,
                code TEXT NOT NULL,
                message TEXT NOT NULL,
                round INTEGER NOT NULL,
                last_event INTEGER NOT NULL DEFAULT 0
            );
INSERT INTO "experiments" VALUES(1,'01a20616-ca9b-711f-b51e-23efb721b95f','ada','trial','{"experiment_id":"01a20616-ca9b-711f-b51e-23efb721b95f","researcher_id":"ada","name":"trial","tags":["trial"],"nodes":[],"plan":{"digest":"sha256:15d576f1fe2c06dcaa66d367e4f6703cfcfe68a9329087661c9fc0623ce9bed5","size":29,"url":""},"runtime":"native","class":"","columns":[],"seed":42,"weights":"samples","model_args":{},"training_args":{"epochs":1,"test_ratio":0.2,"test_on_global_updates":true},"keep_models":false,"keep_updates":false,"experiment_toml":"","specification":{"experiment_id":"01a20616-ca9b-711f-b51e-23efb721b95f","parameters":{"digest":"sha256:9f99683d30cd221fc18c042cf4eceec0fd23ff8eaea89a87319a25f022cdee53","size":276,"url":""},"rounds":3,"min_nodes":2,"start":"all","selection_deadline":{"secs":600,"nanos":0},"approval_deadline":null,"round_deadline":{"secs":30,"nanos":0},"round_retries":2,"retry_delay":{"secs":0,"nanos":20000000},"final_validation":"run"}}','sha256:15d576f1fe2c06dcaa66d367e4f6703cfcfe68a9329087661c9fc0623ce9bed5',1795398486684,1795398486755,'checkpointing','','',1,18);
CREATE TABLE journal_events (
                machine TEXT NOT NULL
                    REFERENCES journal_machines (machine) ON DELETE CASCADE,
                sequence INTEGER NOT NULL,
                at INTEGER NOT NULL,
                kind TEXT NOT NULL,
                body BLOB NOT NULL,
                PRIMARY KEY (machine, sequence)
            ) WITHOUT ROWID;
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',1,1795398486684,'submitted',X'7B226578706572696D656E745F6964223A2230316132303631362D636139622D373131662D623531652D323365666237323162393566222C22726573656172636865725F6964223A22616461222C226E616D65223A22747269616C222C2274616773223A5B22747269616C225D2C226E6F646573223A5B5D2C22706C616E223A7B22646967657374223A227368613235363A31356435373666316665326330366463616136366433363765346636373033636663666536386139333239303837363631633966633036323363653962656435222C2273697A65223A32392C2275726C223A22227D2C2272756E74696D65223A226E6174697665222C22636C617373223A22222C22636F6C756D6E73223A5B5D2C2273656564223A34322C2277656967687473223A2273616D706C6573222C226D6F64656C5F61726773223A7B7D2C22747261696E696E675F61726773223A7B2265706F636873223A312C22746573745F726174696F223A302E322C22746573745F6F6E5F676C6F62616C5F75706461746573223A747275657D2C226B6565705F6D6F64656C73223A66616C73652C226B6565705F75706461746573223A66616C73652C226578706572696D656E745F746F6D6C223A22222C2273706563696669636174696F6E223A7B226578706572696D656E745F6964223A2230316132303631362D636139622D373131662D623531652D323365666237323162393566222C22706172616D6574657273223A7B22646967657374223A227368613235363A39663939363833643330636432323166633138633034326366346563656563306664323366663865616561383961383733313961323566303232636465653533222C2273697A65223A3237362C2275726C223A22227D2C22726F756E6473223A332C226D696E5F6E6F646573223A322C227374617274223A22616C6C222C2273656C656374696F6E5F646561646C696E65223A7B2273656373223A3630302C226E616E6F73223A307D2C22617070726F76616C5F646561646C696E65223A6E756C6C2C22726F756E645F646561646C696E65223A7B2273656373223A33302C226E616E6F73223A307D2C22726F756E645F72657472696573223A322C2272657472795F64656C6179223A7B2273656373223A302C226E616E6F73223A32303030303030307D2C2266696E616C5F76616C69646174696F6E223A2272756E227D7D');
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',2,1795398486685,'sites-connected',X'7B226576656E74223A2273697465732D636F6E6E6563746564222C2263616E64696461746573223A5B7B2273697465223A7B226E6F6465223A2265617374222C2264617461736574223A227265636F726473227D2C22646174617365745F6964223A2230303030303030302D303030302D303030302D303030302D303030303030303030303039227D2C7B2273697465223A7B226E6F6465223A226E6F727468222C2264617461736574223A227265636F726473227D2C22646174617365745F6964223A2230303030303030302D303030302D303030302D303030302D303030303030303030303039227D2C7B2273697465223A7B226E6F6465223A22736F75746865726E222C2264617461736574223A227265636F726473227D2C22646174617365745F6964223A2230303030303030302D303030302D303030302D303030302D303030303030303030303039227D5D7D');
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',3,1795398486692,'plan-answered',X'7B226576656E74223A22706C616E2D616E737765726564222C2273697465223A7B226E6F6465223A226E6F727468222C2264617461736574223A227265636F726473227D2C22636F6465223A226F6B227D');
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',4,1795398486694,'plan-answered',X'7B226576656E74223A22706C616E2D616E737765726564222C2273697465223A7B226E6F6465223A2265617374222C2264617461736574223A227265636F726473227D2C22636F6465223A226F6B227D');
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',5,1795398486694,'plan-answered',X'7B226576656E74223A22706C616E2D616E737765726564222C2273697465223A7B226E6F6465223A22736F75746865726E222C2264617461736574223A227265636F726473227D2C22636F6465223A226F6B227D');
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',6,1795398486716,'reply-received',X'7B226576656E74223A227265706C792D7265636569766564222C22726F756E645F6964223A2230316132303631362D636161362D376436652D613961392D326238363664326230333636222C227265706C79223A7B22636F6465223A226F6B222C22757064617465223A7B22646967657374223A227368613235363A34626334663430353837326134653265643564653866386238306437343333343434636634616533636136303063616530366436326462326337623833643161222C2273697A65223A3237362C2275726C223A22227D2C2273616D706C655F636F756E74223A32387D7D');
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',7,1795398486721,'reply-received',X'7B226576656E74223A227265706C792D7265636569766564222C22726F756E645F6964223A2230316132303631362D636161362D376639352D383437352D613466616131636337383164222C227265706C79223A7B22636F6465223A226F6B222C22757064617465223A7B22646967657374223A227368613235363A35623132623734613531393336316533623732333463303439353861396233313066633437393435393533303535646233656363323830343563333863303230222C2273697A65223A3237362C2275726C223A22227D2C2273616D706C655F636F756E74223A33357D7D');
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',8,1795398486728,'reply-received',X'7B226576656E74223A227265706C792D7265636569766564222C22726F756E645F6964223A2230316132303631362D636161362D373939632D396532312D663163366535326666343661222C227265706C79223A7B22636F6465223A226F6B222C22757064617465223A7B22646967657374223A227368613235363A62386133303739313538333338373835383063323336303462343230343635633765656137643733363032343733346130306430303761393866323635623966222C2273697A65223A3237362C2275726C223A22227D2C2273616D706C655F636F756E74223A35367D7D');
INSERT INTO "journal_events" VALUES('experiment/01a20616-ca9b-711f-b51e-23efb721b95f',9,1795398486755,'aggregated',X'7B226576656E74223A2261676772656761746564222C227469636B6574223A332C226D6F64656C223A7B22646967657374223A227368613235363A33653233313765666438643161343434613234623131383862653362623533376437356462633438646235653430616262666565653264616638613333313837222C2273697A65223A3237362C2275726C223A22227D7D');
CREATE TABLE journal_machines (
                number INTEGER PRIMARY KEY AUTOINCREMENT,
                machine TEXT NOT NULL UNIQUE,
                last INTEGER NOT NULL DEFAULT 0,
                closed_at INTEGER
            );
INSERT INTO "journal_machines" VALUES(1,'experiment/01a20616-ca9b-711f-b51e-23efb721b95f',9,NULL);
CREATE TABLE journal_snapshots (
                machine TEXT PRIMARY KEY
                    REFERENCES journal_machines (machine) ON DELETE CASCADE,
                sequence INTEGER NOT NULL,
                at INTEGER NOT NULL,
                body BLOB NOT NULL
            );
CREATE TABLE nodes (
                node TEXT PRIMARY KEY,
                software TEXT NOT NULL,
                paused INTEGER NOT NULL,
                last_seen_at INTEGER NOT NULL,
                datasets TEXT NOT NULL
            ) WITHOUT ROWID;
INSERT INTO "nodes" VALUES('east','scripted',0,1795398486643,'[{"dataset_id":"00000000-0000-0000-0000-000000000009","name":"records","tags":["trial","east"],"description":"","kind":"tabular","columns":[],"row_count":100,"digest":"sha256:6bdb262b0201799aefb0ae4116c6fb88f549425e30cd85a7f75a06be246751cf"}]');
INSERT INTO "nodes" VALUES('north','scripted',0,1795398486656,'[{"dataset_id":"00000000-0000-0000-0000-000000000009","name":"records","tags":["trial","north"],"description":"","kind":"tabular","columns":[],"row_count":100,"digest":"sha256:dc365e79d41cfae1c3c0d969319ae62165b81b1815a86c32bbc6c64cbdf2311b"}]');
INSERT INTO "nodes" VALUES('southern','scripted',0,1795398486656,'[{"dataset_id":"00000000-0000-0000-0000-000000000009","name":"records","tags":["trial","southern"],"description":"","kind":"tabular","columns":[],"row_count":100,"digest":"sha256:1cac4d101ee696fd7a7089a7a97c1e9149409536e170f93ecba08d110d12dcfe"}]');
CREATE TABLE replies (
                round_id TEXT PRIMARY KEY,
                experiment_id TEXT NOT NULL,
                round INTEGER NOT NULL,
                node TEXT NOT NULL,
                dataset TEXT NOT NULL,
                at INTEGER NOT NULL,
                late INTEGER NOT NULL,
                used INTEGER NOT NULL DEFAULT 0,
                loss REAL,
                update_digest TEXT,
                update_kept INTEGER NOT NULL,
                body TEXT NOT NULL
            ) WITHOUT ROWID;
INSERT INTO "replies" VALUES('01a20616-caa6-799c-9e21-f1c6e52ff46a','01a20616-ca9b-711f-b51e-23efb721b95f',1,'southern','records',1795398486728,0,1,1.0,'sha256:b8a307915833878580c23604b420465c7eea7d736024734a00d007a98f265b9f',0,'{"round_id":"01a20616-caa6-799c-9e21-f1c6e52ff46a","experiment_id":"01a20616-ca9b-711f-b51e-23efb721b95f","round":1,"node_id":"southern","researcher_id":"ada","dataset_id":"00000000-0000-0000-0000-000000000009","code":"ok","correlation_id":"00000000-0000-0000-0000-000000000001","detail":null,"warnings":[],"timing":{"rtime_training":0.0,"ptime_training":0.0,"phases":[]},"update":{"digest":"sha256:b8a307915833878580c23604b420465c7eea7d736024734a00d007a98f265b9f","size":276,"url":""},"sample_count":56,"metrics_before":{"metrics":[["ACCURACY",0.5]],"validation_count":10},"metrics_after":null,"optimizer_args":{},"auxiliary_state":null,"state_id":null}');
INSERT INTO "replies" VALUES('01a20616-caa6-7d6e-a9a9-2b866d2b0366','01a20616-ca9b-711f-b51e-23efb721b95f',1,'east','records',1795398486716,0,1,1.0,'sha256:4bc4f405872a4e2ed5de8f8b80d7433444cf4ae3ca600cae06d62db2c7b83d1a',0,'{"round_id":"01a20616-caa6-7d6e-a9a9-2b866d2b0366","experiment_id":"01a20616-ca9b-711f-b51e-23efb721b95f","round":1,"node_id":"east","researcher_id":"ada","dataset_id":"00000000-0000-0000-0000-000000000009","code":"ok","correlation_id":"00000000-0000-0000-0000-000000000001","detail":null,"warnings":[],"timing":{"rtime_training":0.0,"ptime_training":0.0,"phases":[]},"update":{"digest":"sha256:4bc4f405872a4e2ed5de8f8b80d7433444cf4ae3ca600cae06d62db2c7b83d1a","size":276,"url":""},"sample_count":28,"metrics_before":{"metrics":[["ACCURACY",0.5]],"validation_count":10},"metrics_after":null,"optimizer_args":{},"auxiliary_state":null,"state_id":null}');
INSERT INTO "replies" VALUES('01a20616-caa6-7f95-8475-a4faa1cc781d','01a20616-ca9b-711f-b51e-23efb721b95f',1,'north','records',1795398486721,0,1,1.0,'sha256:5b12b74a519361e3b7234c04958a9b310fc47945953055db3ecc28045c38c020',0,'{"round_id":"01a20616-caa6-7f95-8475-a4faa1cc781d","experiment_id":"01a20616-ca9b-711f-b51e-23efb721b95f","round":1,"node_id":"north","researcher_id":"ada","dataset_id":"00000000-0000-0000-0000-000000000009","code":"ok","correlation_id":"00000000-0000-0000-0000-000000000001","detail":null,"warnings":[],"timing":{"rtime_training":0.0,"ptime_training":0.0,"phases":[]},"update":{"digest":"sha256:5b12b74a519361e3b7234c04958a9b310fc47945953055db3ecc28045c38c020","size":276,"url":""},"sample_count":35,"metrics_before":{"metrics":[["ACCURACY",0.5]],"validation_count":10},"metrics_after":null,"optimizer_args":{},"auxiliary_state":null,"state_id":null}');
CREATE TABLE rounds (
                experiment_id TEXT NOT NULL,
                round INTEGER NOT NULL,
                started_at INTEGER,
                ended_at INTEGER,
                model TEXT,
                model_digest TEXT,
                model_kept INTEGER NOT NULL DEFAULT 0,
                PRIMARY KEY (experiment_id, round)
            ) WITHOUT ROWID;
INSERT INTO "rounds" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',0,NULL,1795398486684,'{"digest":"sha256:9f99683d30cd221fc18c042cf4eceec0fd23ff8eaea89a87319a25f022cdee53","size":276,"url":""}','sha256:9f99683d30cd221fc18c042cf4eceec0fd23ff8eaea89a87319a25f022cdee53',1);
INSERT INTO "rounds" VALUES('01a20616-ca9b-711f-b51e-23efb721b95f',1,1795398486694,1795398486765,'{"digest":"sha256:3e2317efd8d1a444a24b1188be3bb537d75dbc48db5e40abbfeee2daf8a33187","size":276,"url":""}','sha256:3e2317efd8d1a444a24b1188be3bb537d75dbc48db5e40abbfeee2daf8a33187',1);
CREATE TABLE scalars (
                round_id TEXT NOT NULL,
                attempt INTEGER NOT NULL,
                sequence INTEGER NOT NULL,
                PRIMARY KEY (round_id, attempt, sequence)
            ) WITHOUT ROWID;
INSERT INTO "scalars" VALUES('01a20616-caa6-799c-9e21-f1c6e52ff46a',1,1);
INSERT INTO "scalars" VALUES('01a20616-caa6-7d6e-a9a9-2b866d2b0366',1,1);
INSERT INTO "scalars" VALUES('01a20616-caa6-7f95-8475-a4faa1cc781d',1,1);
CREATE TABLE schema_state (digest TEXT NOT NULL);
INSERT INTO "schema_state" VALUES('sha256:07b49fde0af255aac0a8c5d5da92724bc78c7ae6f7672eb940cde719e4d080e6');
CREATE TABLE schema_steps (
        component TEXT NOT NULL,
        version INTEGER NOT NULL,
        digest TEXT NOT NULL,
        PRIMARY KEY (component, version)
    ) WITHOUT ROWID;
INSERT INTO "schema_steps" VALUES('coordinator',1,'sha256:3da3e4423082efd77d371259b1a19050a644ad6f52caa7408db0d6fac1643fcd');
INSERT INTO "schema_steps" VALUES('journal',1,'sha256:305dad1e69a755417ff1d8596db32fd2b74ab88e890877916eafa2ca91132623');
CREATE TABLE uploads (
                digest TEXT PRIMARY KEY,
                at INTEGER NOT NULL
            ) WITHOUT ROWID;
INSERT INTO "uploads" VALUES('sha256:15d576f1fe2c06dcaa66d367e4f6703cfcfe68a9329087661c9fc0623ce9bed5',1795398486663);
INSERT INTO "uploads" VALUES('sha256:9f99683d30cd221fc18c042cf4eceec0fd23ff8eaea89a87319a25f022cdee53',1795398486674);
CREATE INDEX journal_machines_open ON journal_machines (number)
                WHERE closed_at IS NULL;
CREATE INDEX experiments_by_plan ON experiments (plan_digest);
CREATE INDEX executions_by_round ON executions (experiment_id, round);
CREATE INDEX replies_by_round ON replies (experiment_id, round);
CREATE INDEX replies_by_update ON replies (update_digest) WHERE update_kept;
CREATE INDEX rounds_by_model ON rounds (model_digest) WHERE model_kept;
DELETE FROM "sqlite_sequence";
INSERT INTO "sqlite_sequence" VALUES('experiments',1);
INSERT INTO "sqlite_sequence" VALUES('journal_machines',9);
COMMIT;
